"""What stands in the way of a mailing, and what whoever starts it should know. Pure.

A blocker refuses the start; a warning does not. Each is a name of a closed list with a rule of its own: facts in, a
sentence out, or nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from api_service.mailings.forecast import Opening
from shared.domain.meaning import Meaning
from shared.domain.reason import Reason
from shared.domain.survey import Estimate, Survey
from shared.domain.text.parts import Encoding, Parts
from shared.domain.text.spelling import Culprit


class Blocker(Meaning):
    """Each with what it says for all mailings."""

    END_PASSED = "end_passed", "The end has passed: nothing would be sent."
    UNKNOWN_IN_FILTER = (
        "unknown_in_filter",
        "The filter names what is not there: a segment, an import, or a mailing whose messages are kept.",
    )
    NOBODY = "nobody", "No client matches the filter."
    ALL_SKIPPED = "all_skipped", "Everybody who matches is left out for a reason of their own."
    NO_ZONE_OPENS = "no_zone_opens", "The send window opens for nobody before the end."


class Caution(Meaning):
    """What is warned of; each with what it says for all mailings."""

    UNCOUNTED = "uncounted", "The clients could not be counted in time."
    ZONES_CLOSED = "zones_closed", "The send window opens for some clients only after the end: they get nothing."
    ZONES_LATE = "zones_late", "The send window opens for some clients so late that little time is left for them."
    UCS2 = "ucs2", "A few characters make the text cost more parts than it needs."
    MANY_PARTS = "many_parts", "The text has more parts than many providers take."
    NO_DISPATCHER = "no_dispatcher", "No dispatcher is running: nothing is sent until one does."
    MISSES_END = "misses_end", "At the rate that is known it would not be done before its end."
    UNKNOWN_NAME = "unknown_name", "The text asks for a value that nobody has who was looked at."
    MISSING_VALUE = "missing_value", "Some get nothing: their text lacks a value, or there is nothing to see in it."
    TOO_LONG = "too_long", "Some get nothing: their text would be longer than a message may be."
    OVERLAP = "overlap", "Some clients are still to get another mailing."
    OTHER_ZONE = (
        "other_zone",
        "Some phones were issued in another time zone than the default one that their clients have.",
    )


class Finding(NamedTuple):
    """type: a Blocker or a Caution. message: a sentence about this mailing."""

    type: StrEnum
    message: str


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


def blockers(facts: Facts) -> list[Finding]:
    return [Finding(name, sentence) for name, rule in BLOCKERS.items() if (sentence := rule(facts))]


def warnings(facts: Facts) -> list[Finding]:
    return [Finding(name, sentence) for name, rule in WARNINGS.items() if (sentence := rule(facts))]


MOST_PARTS = 10
"""What many providers take, and phones put together."""

LITTLE = 3600.0
"""Seconds between the opening and the end that are little."""

MANY = 0.02
"""The part of people with the default zone whose phones are from elsewhere, from which on it is worth a word."""

_NAMED = 3


def _end_passed(facts: Facts) -> str | None:
    return Blocker.END_PASSED.meaning if facts.ends_at <= facts.now else None


def _unknown_in_filter(facts: Facts) -> str | None:
    return " ".join(facts.unknown) or None


def _nobody(facts: Facts) -> str | None:
    return Blocker.NOBODY.meaning if facts.survey and not facts.survey.clients else None


def _all_skipped(facts: Facts) -> str | None:
    if not facts.survey or not facts.survey.clients:
        return None
    skipped = dict(facts.survey.skipped)
    if facts.personal and not facts.personal.by_parts and facts.personal.looked_at == facts.survey.reached:
        skipped |= {reason: one.number for reason, one in facts.personal.unmade.items()}
    if sum(skipped.values()) < facts.survey.clients:
        return None
    why = ", ".join(f"{_clients(number)} because {reason.meaning}" for reason, number in skipped.items())
    return f"Everybody who matches is left out: {why}."


def _no_zone_opens(facts: Facts) -> str | None:
    if facts.ends_at <= facts.now or not facts.openings or any(one.at for one in facts.openings):
        return None
    return Blocker.NO_ZONE_OPENS.meaning


def _uncounted(facts: Facts) -> str | None:
    return Caution.UNCOUNTED.meaning if facts.survey is None and not facts.unknown else None


def _zones_closed(facts: Facts) -> str | None:
    closed = [one for one in facts.openings if one.at is None]
    if not closed or len(closed) == len(facts.openings):
        return None
    return f"{_clients(_people(closed))} get nothing: their window opens only after the end, in {_zones(closed)}."


def _zones_late(facts: Facts) -> str | None:
    late = [one for one in facts.openings if one.at and one.at > facts.starts_at and _is_late(facts, one, one.at)]
    if not late:
        return None
    return f"The window of {_clients(_people(late))} opens shortly before the end, in {_zones(late)}."


def _is_late(facts: Facts, one: Opening, at: datetime) -> bool:
    left = (facts.ends_at - at).total_seconds()
    return left < LITTLE or (facts.rate is not None and one.people > left * facts.rate.per_second)


def _ucs2(facts: Facts) -> str | None:
    if facts.personal and facts.personal.better:
        takes, better = f"{facts.personal.total.number:,} SMS in all", f"{facts.personal.better.number:,}"
    elif facts.wording.better:
        takes, better = _parts(facts.wording.parts), _parts(facts.wording.better)
    else:
        return None
    shown = ", ".join(_advice(one) for one in facts.wording.culprits[:_NAMED])
    more = len(facts.wording.culprits) - _NAMED
    return (
        f"It takes {takes}, and {better} without characters that are not in the alphabet"
        f" of SMS: {shown}{f', and {more} more' if more > 0 else ''}."
    )


def _advice(one: Culprit) -> str:
    instead = "leave it out" if not one.write else "write a blank" if one.write == " " else f"write {one.write}"
    return f"{one.name} at {', '.join(map(str, one.places[:_NAMED]))}{'…' if one.count > _NAMED else ''} ({instead})"


def _many_parts(facts: Facts) -> str | None:
    parts = facts.wording.parts
    if parts.count <= MOST_PARTS:
        return None
    return f"It takes {_parts(parts)}: many providers take {MOST_PARTS} at the most."


def _no_dispatcher(facts: Facts) -> str | None:
    return None if facts.dispatchers else Caution.NO_DISPATCHER.meaning


def _misses_end(facts: Facts) -> str | None:
    if facts.fits is not False or facts.rate is None or facts.ends_at <= facts.now or not _people(facts.openings):
        return None
    when = f"at {facts.done_at.isoformat(timespec='minutes')}" if facts.done_at else "in years"
    return (
        f"At {facts.rate.per_second:,.0f} messages a second it would be done {when},"
        f" after its end at {facts.ends_at.isoformat(timespec='minutes')}."
    )


def _unknown_name(facts: Facts) -> str | None:
    if facts.personal is None or not facts.personal.unknown:
        return None
    names = ", ".join(f"“{name}”" for name in facts.personal.unknown[:_NAMED])
    more = len(facts.personal.unknown) - _NAMED
    who = "the one client who was" if facts.personal.looked_at == 1 else f"the {facts.personal.looked_at:,} who were"
    return f"Of {who} looked at nobody has a value of {names}{f' and {more} more' if more > 0 else ''}."


def _missing_value(facts: Facts) -> str | None:
    return _unmade(facts, Reason.MISSING_VALUE)


def _too_long(facts: Facts) -> str | None:
    return _unmade(facts, Reason.TOO_LONG)


def _unmade(facts: Facts, reason: Reason) -> str | None:
    found = facts.personal and facts.personal.unmade.get(reason)
    if not found or _all_skipped(facts):
        return None
    about = "About " if found.within else ""
    return f"{about}{_clients(found.number)} would get nothing, because {reason.meaning}."


def _overlap(facts: Facts) -> str | None:
    if facts.overlap is None or not facts.overlap.people.number:
        return None
    ids = ", ".join(str(mailing_id) for mailing_id, _ in facts.overlap.mailings[:_NAMED])
    more = len(facts.overlap.mailings) - _NAMED
    about = "About " if facts.overlap.people.within else ""
    people = _clients(facts.overlap.people.number)
    return f"{about}{people} are still to get another mailing: {ids}{f' and {more} more' if more > 0 else ''}."


def _other_zone(facts: Facts) -> str | None:
    found = facts.origins
    if found is None or not found.suggested or not facts.has_window:
        return None
    people = sum(one.number for _, one in found.suggested)
    if people < MANY * found.people.number:
        return None
    zones = ", ".join(f"{zone} ({one.number:,})" for zone, one in found.suggested[:_NAMED])
    about = "About " if found.people.within else ""
    return (
        f"{about}{_clients(people)} have the default time zone, {found.default}, and a phone that was issued elsewhere,"
        f" most in {zones}."
    )


BLOCKERS: Mapping[Blocker, Callable[[Facts], str | None]] = {
    Blocker.END_PASSED: _end_passed,
    Blocker.UNKNOWN_IN_FILTER: _unknown_in_filter,
    Blocker.NOBODY: _nobody,
    Blocker.ALL_SKIPPED: _all_skipped,
    Blocker.NO_ZONE_OPENS: _no_zone_opens,
}
WARNINGS: Mapping[Caution, Callable[[Facts], str | None]] = {
    Caution.UNCOUNTED: _uncounted,
    Caution.ZONES_CLOSED: _zones_closed,
    Caution.ZONES_LATE: _zones_late,
    Caution.UCS2: _ucs2,
    Caution.MANY_PARTS: _many_parts,
    Caution.NO_DISPATCHER: _no_dispatcher,
    Caution.MISSES_END: _misses_end,
    Caution.UNKNOWN_NAME: _unknown_name,
    Caution.MISSING_VALUE: _missing_value,
    Caution.TOO_LONG: _too_long,
    Caution.OVERLAP: _overlap,
    Caution.OTHER_ZONE: _other_zone,
}


def _clients(number: int) -> str:
    return "1 client" if number == 1 else f"{number:,} clients"


def _parts(parts: Parts) -> str:
    name = "GSM-7" if parts.encoding is Encoding.GSM7 else "UCS-2"
    return f"{parts.count} part{'s' if parts.count > 1 else ''} ({name})"


def _people(some: Sequence[Opening]) -> int:
    return sum(one.people for one in some)


def _zones(some: Sequence[Opening]) -> str:
    more = len(some) - _NAMED
    return ", ".join(one.zone for one in some[:_NAMED]) + (f" and {more} more" if more > 0 else "")
