"""What stands in the way of a mailing, and what whoever starts it should know. Pure.

Each name of the closed lists of `finding.py` has a rule of its own: facts in, a sentence out, or nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from api_service.mailings.facts import Facts
from api_service.mailings.finding import Blocker, Caution, Finding
from api_service.mailings.forecast import Opening
from shared.domain.reason import Reason
from shared.domain.text.parts import Encoding, Parts
from shared.domain.text.spelling import Culprit


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
