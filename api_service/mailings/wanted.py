"""A mailing as a preflight looks at it, stored or not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from api_service.mailings.rules import Times
from api_service.web.problems import Blocked
from api_service.web.work import is_of_tests
from shared.audience import named
from shared.database.models import Mailing
from shared.domain.priority import Priority
from shared.domain.segments import Audience, Segment
from shared.domain.text.template import is_template
from shared.domain.window import Window


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mailing that has not started, stored or not.

    is_personal: its text is a template. sender, provider: None: it names none. unknown: what its filter names in vain,
    in sentences.
    """

    text: str
    is_personal: bool
    starts_at: datetime
    ends_at: datetime
    audience: Audience
    window: Window | None
    priority: Priority
    sender: str | None = None
    provider: str | None = None
    unknown: Sequence[str] = ()

    @classmethod
    def given(cls, session: Session, values: Mapping[str, Any]) -> Self:
        """One that a request describes, with its segments as they are now."""
        wanted = values["filter"]
        segments: Sequence[Segment] = ()
        unknown: Sequence[str] = ()
        try:
            segments = named.look_up(session.connection(), wanted, is_test=is_of_tests(session), is_held=False)
        except named.Unknown as error:
            unknown = tuple(_sentences(error.faults))
        return cls(
            text=values["text"],
            is_personal=is_template(values["text"]),
            starts_at=values["starts_at"],
            ends_at=values["ends_at"],
            audience=Audience.of(wanted, segments),
            window=values["send_window"],
            priority=values["priority"],
            sender=values["sender"],
            provider=values["provider"],
            unknown=unknown,
        )

    @classmethod
    def stored(cls, connection: Connection, mailing: Mailing) -> Self:
        """Raises Blocked: it is a draft without times."""
        audience = Audience.of(mailing.filter, mailing.fixed_segments)
        gone = (named.MAILINGS_GONE,) if named.are_gone(connection, audience) else ()
        starts_at, ends_at = mailing.starts_at, mailing.ends_at
        if starts_at is None or ends_at is None:
            raise Blocked(Times(starts_at, ends_at, draft=False).missing(), place="json")
        return cls(
            text=mailing.text,
            is_personal=mailing.personal,
            starts_at=starts_at,
            ends_at=ends_at,
            audience=audience,
            window=mailing.send_window,
            priority=mailing.priority,
            sender=mailing.sender,
            provider=mailing.provider,
            unknown=gone,
        )


def _sentences(faults: Any) -> Iterable[str]:
    """Of lists of sentences by member, however deep."""
    if isinstance(faults, str):
        yield faults
    for one in faults.values() if isinstance(faults, Mapping) else () if isinstance(faults, str) else faults:
        yield from _sentences(one)
