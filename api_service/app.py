"""The application, made from parts that are given to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, redirect
from flask.json.provider import DefaultJSONProvider
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest, multiprocess
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from api_service import access, documentation, errors
from api_service.body import MAX_BYTES
from api_service.imports import Importer
from api_service.parts import Announcer, Parts
from api_service.probe import Probe
from api_service.resources import clients, health, imports, mailings, statistics
from shared import database, ledger
from shared.broker import topology
from shared.broker.base import Broker


def create_app(
    engine: Engine,
    announcer: Announcer,
    probes: dict[str, Probe],
    *,
    default_timezone: str = "UTC",
    metrics_directory: Path | None = None,
) -> Flask:
    """A new application.

    metrics_directory: where the processes that share one set of metrics keep it; None where this one is alone.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 1  # one more than `BodyParser` takes, so that it sees too much
    app.json = _Json(app)
    sessions = sessionmaker(engine, expire_on_commit=False)
    app.extensions["parts"] = Parts(
        sessions=sessions,
        statements=engine.execution_options(isolation_level="AUTOCOMMIT"),
        importer=Importer(sessions, default_timezone),
        announcer=announcer,
        probes=probes,
        metrics=lambda: _metrics(metrics_directory),
        default_timezone=default_timezone,
        slot=ledger.any_slot(),
    )
    access.register(app)
    errors.register(app)
    documentation.register(
        app,
        [clients.blueprint, imports.blueprint, mailings.blueprint, statistics.blueprint, health.blueprint],
    )
    app.add_url_rule("/", "root", _to_documentation)
    return app


def probes(engine: Engine, broker: Broker) -> dict[str, Probe]:
    """Those of a deployment. `engine` is not that of the requests, so that nobody waits for their connections."""
    return {
        "database": Probe("database", lambda: database.answers(engine)),
        "broker": Probe("broker", lambda: _ask(broker)),
    }


def _ask(broker: Broker) -> None:
    with broker.connect() as session:
        session.depth(topology.LAUNCH)


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


class _OurMetrics(Collector):
    """Of the metrics that the product declares, those that this service moves."""

    def __init__(self, directory: Path | None) -> None:
        self._source: Collector = REGISTRY
        if directory is not None:
            self._source = multiprocess.MultiProcessCollector(None, str(directory))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        return (metric for metric in self._source.collect() if metric.name.startswith("api_"))


def _metrics(directory: Path | None) -> bytes:
    registry = CollectorRegistry()
    registry.register(_OurMetrics(directory))
    return generate_latest(registry)


def _to_documentation() -> Response:
    return redirect("/docs/")  # type: ignore[return-value]
