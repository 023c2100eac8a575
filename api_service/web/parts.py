"""What a request works with, given to the application when it is made."""

from dataclasses import dataclass
from typing import Protocol, cast
from zoneinfo import ZoneInfo

from flask import Request, current_app, g, request
from sqlalchemy import Engine

from api_service.web.key import Caller, Key, Scope
from api_service.web.work import Work
from shared.audit import Actor
from shared.domain.digests import Digests
from shared.domain.profile.provider import Providers
from shared.ledger.slot import Slot


class Announcer(Protocol):
    """Tells the dispatchers that a mailing may be due, so that nobody waits for the next round of theirs."""

    def announce(self, mailing_id: int) -> None:
        """Returns at once and never fails: without an announcement the mailing starts a little later."""


@dataclass(frozen=True, slots=True)
class Parts:
    """direct: for what needs a session of its own, see `shared.database.access`. slot: where this process counts
    (`shared.ledger`). digests: of phones. providers: those that mailings may go through. dispatch_rate: messages a
    second over all dispatchers; 0: no limit. report_timezone: whose days the daily report counts."""

    engine: Engine
    direct: Engine
    announcer: Announcer
    default_timezone: str
    slot: Slot
    digests: Digests
    providers: Providers
    dispatch_rate: float
    report_timezone: ZoneInfo


def parts() -> Parts:
    """Those of the application that handles the present request."""
    return cast(Parts, current_app.extensions["parts"])


def asked() -> Request:
    """The present request. Flask's `request` is a stand-in that looks for it whenever it is used."""
    return cast(Request, request._get_current_object())  # type: ignore[attr-defined]


def working() -> Work:
    """What the present request works with: on behalf of whoever has the key, under its condition, and in the
    transaction that has begun for it."""
    given = parts()
    key: Caller | None = g.get("key")
    owner = key.name if isinstance(key, Key) else ""
    actor = Actor("anybody" if key is None else key.by, owner, g.get("request_id"))
    is_test = key is not None and key.scope is Scope.TEST
    return Work(given.engine, actor, given.slot, g.get("match"), g.get("act"), is_test)
