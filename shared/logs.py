"""Logging: one line per event, with the ids it is about; never a token, never a whole phone number."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from shared.domain.masking import PHONE, masked

_PHONES = range(70_000_000_000, 80_000_000_000)
_KEY = re.compile(r"(nsk_[0-9a-f]{12}_)[A-Za-z0-9_-]+")
_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)")

_SECRET = ("token", "password", "authorization", "secret", "smtp_url", "broker_url", "database_url")


def setup(service: str, level: str, form: str, stream: TextIO | None = None) -> None:
    """Once per process. `level` and `form` are LOG_LEVEL and LOG_FORMAT; libraries' own lines take the same way, to the
    standard output where no stream is named."""
    stream = stream or sys.stdout
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        _hide,
        structlog.processors.format_exc_info,
    ]
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _mask, renderer],
            foreign_pre_chain=processors,
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    for noisy in ("pika", "alembic", "schedule", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "pika" else logging.WARNING)


def logger(**ids: object) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry these ids."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(**ids)
    return bound


def without_secrets(text: str) -> str:
    """The text with what looks like a phone number, an API key, or a password in a URL masked."""
    text = PHONE.sub(lambda match: masked(match[0]), text)
    return _PASSWORD.sub(r"\1***", _KEY.sub(r"\1***", text))


def _add_service(service: str) -> Any:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    return add


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The second net, under everything: texts of libraries, tracebacks, and what others put into a request."""
    for key, value in event.items():
        event[key] = _masked_value(value)
    return event


def _masked_value(value: Any) -> Any:
    match value:
        case str():
            return without_secrets(value)
        case bool() | float() | None:
            return value
        case int():
            return masked(value) if value in _PHONES else value
        case Mapping():
            return {key: _masked_value(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked_value(inner) for inner in value]
        case _:
            return without_secrets(repr(value))


def _hide(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A net under the callers, who do not log these to begin with."""
    for key in event:
        if key in _SECRET:
            event[key] = "***"
        elif key == "phone":
            event[key] = masked(event[key])
    return event
