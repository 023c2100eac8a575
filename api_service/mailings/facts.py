"""What was looked up of a mailing before its start. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api_service.mailings.forecast import Opening
from shared.domain.meaning import Meaning
from shared.domain.reason import Reason
from shared.domain.survey import Estimate, Survey
from shared.domain.text.parts import Parts
from shared.domain.text.spelling import Culprit


class RateFrom(Meaning):
    LIMIT = "limit", "DISPATCH_RATE, or the rates of the providers"
    PACE = "pace", "what the dispatchers send now"
    HISTORY = "history", "the fastest of the last large mailings"


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages a second, and how that is known."""

    per_second: float
    because: RateFrom


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many people have a message of another mailing that is still to be sent. mailings: the same by mailing, most
    people first."""

    people: Estimate
    mailings: Sequence[tuple[int, Estimate]]


@dataclass(frozen=True, slots=True)
class Wording:
    """How a text travels. better: what it would take if it were spelled as is advised; None: there is nothing to be
    won."""

    parts: Parts
    culprits: Sequence[Culprit] = ()
    better: Parts | None = None


@dataclass(frozen=True, slots=True)
class Personal:
    """What a template makes of the values of some people.

    looked_at: how many of them. names: of the values that it asks for. unknown: those that none of them has. unmade:
    who gets nothing, by the reason. by_parts: how many people get a text of so many parts. total: of parts. better: of
    parts if the template were spelled as is advised; None: there is nothing to be won.
    """

    looked_at: int
    names: Sequence[str]
    unknown: Sequence[str]
    unmade: Mapping[Reason, Estimate]
    by_parts: Mapping[int, Estimate]
    total: Estimate
    better: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Origins:
    """What the numbering plan says of those who have the default time zone. suggested: how many of them have a phone
    that was issued in another zone, by that one, most first. ambiguous: whose number may be from several zones.
    operators: of all, by who issued the number."""

    default: str
    people: Estimate
    suggested: Sequence[tuple[str, Estimate]]
    ambiguous: Estimate
    operators: Sequence[tuple[str, Estimate]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was looked up of a mailing, as of one moment. starts_at: or now, if that is later.

    personal: None: there is one text for all, or it was not made. unknown: what the filter names in vain, in sentences.
    survey: None: it was not counted. done_at: None: not known, or not within ten years. dispatchers: how many are
    alive.
    """

    now: datetime
    starts_at: datetime
    ends_at: datetime
    wording: Wording
    personal: Personal | None = None
    has_window: bool = False
    unknown: Sequence[str] = ()
    survey: Survey | None = None
    openings: Sequence[Opening] = ()
    by_hour: Mapping[int, int] = field(default_factory=dict)
    rate: Rate | None = None
    ahead: int = 0
    done_at: datetime | None = None
    dispatchers: int = 0
    overlap: Overlap | None = None
    origins: Origins | None = None

    @property
    def fits(self) -> bool | None:
        """Whether it is done before its end; None: nobody knows."""
        if self.rate is None or self.survey is None:
            return None
        return self.done_at is not None and self.done_at <= self.ends_at
