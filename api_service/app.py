"""The application, made from parts that are given to it."""

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, redirect
from flask.json.provider import DefaultJSONProvider
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from api_service import access, admission, documentation, errors
from api_service.body import MAX_BYTES
from api_service.chores import Chores
from api_service.expiry import Expiry
from api_service.imports import Importer
from api_service.keys import Keyring
from api_service.last_use import LastUse
from api_service.parts import Announcer, Parts, asked
from api_service.probe import Probe
from api_service.rate import Rate
from api_service.request_log import RequestLog
from api_service.resources import clients, health, imports, keys, mailings, statistics
from api_service.share import Share
from api_service.watch import Watch
from shared import database, ledger
from shared.broker import topology
from shared.broker.base import Broker


def create_app(
    engine: Engine,
    announcer: Announcer,
    probes: dict[str, Probe],
    *,
    default_timezone: str = "UTC",
    auth: bool = False,
    rate: int = 0,
    threads: int = 8,
    chores: bool = True,
) -> Flask:
    """A new application.

    Args:
        auth: whether requests need a key.
        rate: how many requests a second one key may make; 0: no limit.
        threads: on which requests are answered in this process.
        chores: whether they are done; they begin with the first request.
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
        slot=ledger.any_slot(),
    )
    log = app.extensions["request_log"] = RequestLog()
    behind = _engine_behind(engine)
    last_use, expiry = LastUse(behind), Expiry(behind)
    keyring = Keyring(engine) if auth else None
    watch = Watch(keyring) if keyring else None
    if chores:
        of_keys = [watch.look, last_use.write, expiry.look] if watch else []
        app.before_request(Chores([log.flush, *of_keys], log.close).begin)
    access.register(app, log)
    admission.register(app, keyring, Rate(rate), Share(threads), last_use=last_use, watch=watch)
    errors.register(app, log)
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
        with_keys=auth,
    )
    app.add_url_rule("/", "root", _to_documentation)
    return app


def probes(engine: Engine, broker: Broker) -> dict[str, Probe]:
    """Those of a deployment. `engine` is not that of the requests, so that nobody waits for their connections."""
    return {
        "database": Probe("database", lambda: database.answers(engine)),
        "broker": Probe("broker", lambda: _ask(broker)),
    }


def _engine_behind(engine: Engine) -> Engine:
    """Of the same database, for what happens behind the back of the requests: nobody waits for their connections."""
    url = engine.url.render_as_string(hide_password=False)
    return database.engine(url, "api-chores", pool_size=1, statement_timeout=2.0)


def _ask(broker: Broker) -> None:
    with broker.connect() as session:
        session.depth(topology.LAUNCH)


class _App(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Nothing here is a coroutine; Flask and the decorators of flask-smorest would look nine times a request."""
        return func

    def log_exception(self, exc_info: Any) -> None:
        """Of a defect that comes again and again, a few times and then its number."""
        request = asked()
        rule = request.url_rule.rule if request.url_rule else "none"
        log: RequestLog = self.extensions["request_log"]
        kind: str = exc_info[0].__name__
        if log.shows(logging.ERROR, "defect", None, ("defect", kind, rule), error=kind, endpoint=rule):
            super().log_exception(exc_info)


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
    return redirect("/docs/")  # type: ignore[return-value]
