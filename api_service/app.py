"""The application, made from parts that are given to it."""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from flask import Flask, Request, Response, redirect
from flask.json.provider import DefaultJSONProvider
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker
from werkzeug.routing import RequestRedirect

from api_service.access import keys
from api_service.access.expiry import Expiry
from api_service.access.keyring import Keyring
from api_service.access.last_use import LastUse
from api_service.access.oidc.identity import Client
from api_service.access.sessions import Sessions
from api_service.console.registry import blueprint as console
from api_service.directory import clients, imports, segments, suppressions
from api_service.directory.importer import Importer
from api_service.directory.progress import Silence
from api_service.mailings import controls, mailings, preflight, preview, trials
from api_service.operations import audit, health
from api_service.operations import providers as gateways
from api_service.operations.dependencies import Dependencies
from api_service.operations.probe import Probe
from api_service.tracking import breakdown, messages, receipts, statistics
from api_service.tracking.receivers import Receivers
from api_service.tracking.taking import Taking
from api_service.web import answers, document, door, middleware
from api_service.web.body import MAX_BYTES
from api_service.web.chores import keep_doing
from api_service.web.export import Exports
from api_service.web.idempotency import Forgetting
from api_service.web.key import Scope
from api_service.web.parts import Announcer, Parts, asked
from api_service.web.rate import Rate
from api_service.web.request_log import RequestLog
from api_service.web.rule import LazyRule
from api_service.web.share import Share
from api_service.web.watch import Watch
from shared.broker import topology
from shared.broker.base import Broker
from shared.database.access import Database
from shared.database.engine import another_engine, takes_writes
from shared.domain.digests import NO_KEYS, Digests
from shared.domain.profile.provider import NO_PROVIDERS, Providers
from shared.ledger.slot import Slot
from shared.settings import Settings

if TYPE_CHECKING:
    from api_service.access.oidc.provider import IdentityProvider

_RETURNS = 5
"""Of an address in a second, from the identity provider: for each of them it is asked."""
_UTC = ZoneInfo("UTC")


def create_app(
    engine: Engine,
    announcer: Announcer,
    probes: dict[str, Probe],
    *,
    direct: Engine | None = None,
    default_timezone: str = "UTC",
    digests: Digests = NO_KEYS,
    providers: Providers = NO_PROVIDERS,
    public_url: str | None = None,
    dispatch_rate: float = 0.0,
    report_timezone: ZoneInfo = _UTC,
    auth: bool = False,
    identity_provider: "IdentityProvider | None" = None,
    scopes_by_group: Mapping[str, Scope] = MappingProxyType({}),
    console_keys: bool = True,
    rate: int = 0,
    threads: int = 8,
    chores: bool = True,
    log: RequestLog | None = None,
) -> Flask:
    """A new application.

    Args:
        direct: another one, for what needs a session of its own (`shared.database.access`).
        digests: of phones that must not be written to.
        providers: those that mailings may go through, and whose receipts are taken.
        dispatch_rate: messages a second over all dispatchers; 0: no limit.
        report_timezone: whose days are counted.
        public_url: by which they know this service.
        auth: whether requests need a key.
        identity_provider: who signs people in on the console; None: they have keys.
        scopes_by_group: what the members of its groups may do.
        console_keys: whether keys sign in on the console.
        rate: how many requests a second one key may make; 0: no limit.
        threads: on which requests are answered in this process.
        chores: whether they are done, on a thread of this process.
        log: that of this process, where somebody else writes to it, too.
    """
    app = _App(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES + 1  # one more than `BodyParser` takes, so that it sees too much
    app.json = _Json(app)
    sessions = sessionmaker(engine, expire_on_commit=False)
    slot = Slot("api")
    app.extensions["parts"] = Parts(
        engine=engine,
        direct=direct or engine,
        announcer=announcer,
        default_timezone=default_timezone,
        slot=slot,
        digests=digests,
        providers=providers,
        dispatch_rate=dispatch_rate,
        report_timezone=report_timezone,
    )
    importer = Importer(sessions, default_timezone, digests, slot)
    app.extensions |= {"importer": importer, "exports": Exports(), "probes": probes}
    log = app.extensions["request_log"] = log or RequestLog()
    behind = _engine_behind(engine)
    last_use, expiry = LastUse(behind), Expiry(behind)
    keyring = Keyring(engine) if auth else None
    watch = Watch() if keyring else None
    if chores:
        of_keys = [watch.look, last_use.write, expiry.look] if watch else []
        keep_doing(
            [
                log.flush,
                Dependencies(probes).look,
                Forgetting(behind).look,
                Silence(behind, importer.running).look,
                *of_keys,
            ]
        )
    middleware.register(app, log)
    issuer = identity_provider.client.issuer if identity_provider else None
    visits = Sessions(engine, keyring, issuer, with_keys=console_keys) if keyring else None
    app.extensions |= {"identity_provider": identity_provider, "scopes_by_group": scopes_by_group}
    app.extensions |= {"console_keys": console_keys, "returns": Rate(_RETURNS if rate else 0)}
    door.register(app, keyring, Rate(rate), Share(threads), last_use=last_use, watch=watch, sessions=visits)
    answers.register(app, log)
    document.register(
        app,
        [
            clients.blueprint,
            imports.blueprint,
            segments.blueprint,
            suppressions.blueprint,
            mailings.blueprint,
            preview.blueprint,
            controls.blueprint,
            trials.blueprint,
            preflight.blueprint,
            statistics.blueprint,
            breakdown.blueprint,
            messages.blueprint,
            receipts.blueprint,
            gateways.blueprint,
            keys.blueprint,
            audit.blueprint,
            health.blueprint,
        ],
        with_keys=auth,
    )
    receipts.register(app, Receivers(providers), Taking(engine, slot), public_url)
    app.register_blueprint(console)
    app.add_url_rule("/", "root", _to_console)
    middleware.count_failures(app)
    return app


def deployed(
    settings: Settings,
    database: Database,
    broker: Broker,
    announcer: Announcer,
    *,
    digests: Digests,
    providers: Providers,
    threads: int,
    log: RequestLog,
) -> Flask:
    """The application of a process that serves.

    Args:
        digests: of phones that must not be written to.
        providers: those that mailings may go through.
        threads: on which requests are answered in this process.
        log: that of this process.
    """
    engine = database.engine("api", pool_size=threads)
    for_probe = database.engine("api-probe", pool_size=1, statement_timeout=2.0)
    return create_app(
        engine,
        announcer,
        probes(for_probe, broker),
        direct=database.direct_engine("api-files", pool_size=threads),
        default_timezone=settings.default_timezone,
        digests=digests,
        public_url=settings.public_url,
        providers=providers,
        dispatch_rate=settings.dispatch_rate,
        report_timezone=settings.report_timezone,
        auth=settings.api_auth,
        identity_provider=_identity_provider(settings),
        scopes_by_group={group: Scope(scope) for group, scope in settings.oidc_scopes_by_group.items()},
        console_keys=settings.oidc_issuer is None or settings.console_keys,
        rate=settings.api_rate,
        threads=threads,
        log=log,
    )


def _identity_provider(settings: Settings) -> "IdentityProvider | None":
    if settings.oidc_issuer is None:
        return None
    from api_service.access.oidc.provider import IdentityProvider  # noqa: PLC0415 - it takes time and memory

    about = settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_groups_claim
    return IdentityProvider(Client(settings.oidc_issuer, *about))


def probes(engine: Engine, broker: Broker) -> dict[str, Probe]:
    """Those of a deployment. `engine` is not that of the requests, so that nobody waits for their connections."""
    return {
        "database": Probe("database", lambda: takes_writes(engine)),
        "broker": Probe("broker", lambda: _ask(broker), is_needed=False),
    }


def _engine_behind(engine: Engine) -> Engine:
    """Of the same database, for what happens behind the back of the requests: nobody waits for their connections."""
    return another_engine(engine, "api-chores", pool_size=1, statement_timeout=2.0)


def _ask(broker: Broker) -> None:
    with broker.connect() as session:
        session.depth(topology.LAUNCH)


class _App(Flask):
    url_rule_class = LazyRule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Nothing here is a coroutine; Flask and the decorators of flask-smorest would look nine times a request."""
        return func

    def make_default_options_response(self) -> Any:
        """Pages of other sites may not ask, so there is nothing to say but the methods."""
        response = super().make_default_options_response()
        allowed = ", ".join(sorted(response.allow))
        response = self.response_class(status=204, headers={"Allow": allowed})
        del response.headers["Content-Type"]
        return response

    def log_exception(self, exc_info: Any) -> None:
        """Of a defect that comes again and again, a few times and then its number."""
        request = asked()
        rule = request.url_rule.rule if request.url_rule else "none"
        log: RequestLog = self.extensions["request_log"]
        kind: str = exc_info[0].__name__
        if log.shows(logging.ERROR, "defect", None, ("defect", kind, rule), error=kind, endpoint=rule):
            super().log_exception(exc_info)

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


def _to_console() -> Response:
    return redirect(f"{asked().script_root}/console/")  # type: ignore[return-value]
