"""The application, made from parts that are given to it."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, redirect
from flask.json.provider import DefaultJSONProvider
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from api_service import access, admission, documentation, errors
from api_service.body import MAX_BYTES
from api_service.imports import Importer
from api_service.keys import Keyring
from api_service.parts import Announcer, Parts
from api_service.probe import Probe
from api_service.rate import Rate
from api_service.resources import clients, health, imports, keys, mailings, statistics
from shared.broker import topology
from shared.broker.base import Broker
from shared.database.engine import answers
from shared.ledger.slot import Slot


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
        slot=Slot("api"),
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
