"""The application, made from parts that are given to it."""

from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Request, Response, redirect
from flask.json.provider import DefaultJSONProvider
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker
from werkzeug.routing import RequestRedirect

from api_service import access, admission, documentation, errors
from api_service.body import MAX_BYTES
from api_service.imports import Importer
from api_service.keys import Keyring
from api_service.parts import Announcer, Parts, asked
from api_service.probe import Probe
from api_service.rate import Rate
from api_service.resources import clients, health, imports, keys, mailings, statistics
from shared.broker import topology
from shared.broker.base import Broker
from shared.database.engine import answers, make_engine
from shared.ledger.entries import any_slot
from shared.settings import Settings


def create_app(
    engine: Engine,
    announcer: Announcer,
    probes: dict[str, Probe],
    *,
    default_timezone: str = "UTC",
    auth: bool = False,
    rate: int = 0,
) -> Flask:
    """A new application.

    auth: whether requests need a key. rate: how many a second one key may make; 0: no limit.
    """
    app = _App(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 1  # one more than `BodyParser` takes, so that it sees too much
    app.json = _Json(app)
    sessions = sessionmaker(engine, expire_on_commit=False)
    app.extensions["parts"] = Parts(
        engine=engine,
        sessions=sessions,
        importer=Importer(sessions, default_timezone),
        announcer=announcer,
        probes=probes,
        default_timezone=default_timezone,
        slot=any_slot(),
    )
    access.register(app)
    admission.register(app, Keyring(engine) if auth else None, Rate(rate))
    errors.register(app)
    documentation.register(
        app,
        [
            clients.blueprint,
            imports.blueprint,
            mailings.blueprint,
            statistics.blueprint,
            keys.blueprint,
            health.blueprint,
        ],
    )
    app.add_url_rule("/", "root", _to_documentation)
    return app


def deployed(settings: Settings, url: str, broker: Broker, announcer: Announcer, threads: int) -> Flask:
    """The application of a process that serves, with so many threads. url: of the database."""
    engine = make_engine(url, "api", pool_size=threads)
    for_probe = make_engine(url, "api-probe", pool_size=1, statement_timeout=2.0)
    return create_app(
        engine,
        announcer,
        probes(for_probe, broker),
        default_timezone=settings.default_timezone,
        auth=settings.api_auth,
        rate=settings.api_rate,
    )


def probes(engine: Engine, broker: Broker) -> dict[str, Probe]:
    """Those of a deployment. `engine` is not that of the requests, so that nobody waits for their connections."""
    return {
        "database": Probe("database", lambda: answers(engine)),
        "broker": Probe("broker", lambda: _ask(broker)),
    }


def _ask(broker: Broker) -> None:
    with broker.connect() as session:
        session.depth(topology.LAUNCH)


class _App(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Nothing here is a coroutine; Flask and the decorators of flask-smorest would look nine times a request."""
        return func

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """A slash that is missing sends nobody to another host or scheme: which ones they used, a proxy knows best."""
        error = request.routing_exception
        if isinstance(error, RequestRedirect):
            parts = urlsplit(error.new_url)
            error.new_url = urlunsplit(("", "", f"/{parts.path.lstrip('/')}", parts.query, ""))
        super().raise_routing_exception(request)


class _Json(DefaultJSONProvider):
    """Members in the order of the schemas, and letters as they are, so that a person can read an answer."""

    sort_keys = False
    ensure_ascii = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        text = super().dumps(obj, **kwargs)
        try:
            text.encode()
        except UnicodeEncodeError:  # an error answer names a field that is half of a surrogate pair
            text = super().dumps(obj, **kwargs | {"ensure_ascii": True})
        return text


def _to_documentation() -> Response:
    return redirect(f"{asked().script_root}/docs/")  # type: ignore[return-value]
