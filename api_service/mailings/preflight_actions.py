"""A mailing looked at before it is started: a function is a use case, and one snapshot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from api_service.mailings import preflight_store as found
from api_service.mailings import rules, store
from api_service.mailings.facts import Facts, Origins, Overlap, Personal
from api_service.mailings.findings import blockers, warnings
from api_service.mailings.forecast import least_limit
from api_service.mailings.preflight_schema import SHOWN
from api_service.mailings.preflight_texts import make_texts
from api_service.mailings.rules import Times
from api_service.mailings.wanted import Wanted
from api_service.web.parts import Parts
from api_service.web.problems import Blocked, Invalid, TooEarly, TooLate
from api_service.web.work import Work, moment
from shared.audience.surveying import Sampled
from shared.database.models import Mailing
from shared.domain.survey import Estimate

View = dict[str, Any]


def check_given(work: Work, parts: Parts, values: Mapping[str, Any]) -> View:
    """One that is described and not stored. Raises Invalid."""
    starts_at, ends_at = values["starts_at"], values["ends_at"]
    if missing := Times(starts_at, ends_at, draft=False).missing():
        raise Invalid(missing)
    if ends_at <= starts_at:
        raise Invalid({"ends_at": [rules.AFTER_START]})
    return _check(work, parts, lambda session: Wanted.given(session, values))


def check_stored(work: Work, parts: Parts, mailing_id: int) -> View:
    """One that has not started. Raises NotFound, TooLate, TooEarly, Blocked."""

    def read(session: Session) -> Wanted:
        mailing = store.find(session, mailing_id)
        if mailing.audience_limit is not None or mailing.cancelled_at or mailing.finished_at:
            raise TooLate("The mailing has started, or is over: there is nothing to look at beforehand.")
        if mailing.retry_of is not None:
            raise TooEarly("Whom a retry goes to is known when it begins: who is left of its mailing by then.")
        return Wanted.stored(session.connection(), mailing)

    return _check(work, parts, read)


def refuse_blocked(connection: Connection, mailing: Mailing) -> None:
    """What a start asks, in its own transaction. Raises Blocked."""
    facts, _ = _look(connection, Wanted.stored(connection, mailing))
    if stops := blockers(facts):
        raise Blocked({str(one.type): [one.message] for one in stops})


def _check(work: Work, parts: Parts, read: Callable[[Session], Wanted]) -> View:
    with work.look() as session:
        connection = session.connection()
        connection.execute(_READ_ONLY)
        wanted = read(session)
        facts, some = _look(connection, wanted, draws=True)
        pace = found.read_pace(session, wanted, facts.starts_at, _limit(parts, wanted))
        facts = replace(facts, rate=pace.rate, dispatchers=pace.dispatchers, ahead=pace.ahead)
        facts = replace(facts, done_at=found.foretell(wanted, facts, pace))
        if facts.survey and some is not None:
            among = facts.survey.reached
            origins = found.read_origins(some, among, parts.default_timezone)
            facts = replace(facts, origins=origins, overlap=found.find_overlap(session, some, among))
    return shown(facts)


def _limit(parts: Parts, wanted: Wanted) -> float:
    """Messages a second that may go out through the providers that may have it; 0: none is known."""
    may_have_it = [one for one in parts.providers if one.may_send(wanted.sender)]
    if wanted.provider is not None:
        may_have_it = [one for one in may_have_it if one.name == wanted.provider]
    rates = [one.limits.rate for one in may_have_it]
    return least_limit(parts.dispatch_rate, rates)


def _look(connection: Connection, wanted: Wanted, *, draws: bool = False) -> tuple[Facts, Sequence[Sampled] | None]:
    """All that blockers are made of, and some of those who would get it, where that or somebody else needs them."""
    facts = found.look(connection, wanted, moment(connection))
    if facts.survey is None or not (draws or wanted.is_personal):
        return facts, None
    some = found.draw(connection, wanted, facts.survey)
    if some and wanted.is_personal:
        wording, personal = make_texts(connection, wanted.text, some, facts.survey.reached)
        facts = replace(facts, wording=wording, personal=personal)
    return facts, some


_READ_ONLY = text("set transaction read only")


def shown(facts: Facts) -> View:
    """As `PreflightSchema` wants it."""
    return {
        "at": facts.now,
        "blockers": [one._asdict() for one in blockers(facts)],
        "warnings": [one._asdict() for one in warnings(facts)],
        "text": _text(facts),
        "audience": _audience(facts),
        "pace": _pace(facts),
        "overlap": _overlap(facts.overlap),
        "origins": _origins(facts.origins),
    }


def _text(facts: Facts) -> View:
    takes, better, personal = facts.wording.parts, facts.wording.better, facts.personal
    total = personal.total if personal else Estimate(takes.count * facts.survey.reached) if facts.survey else None
    return {
        "encoding": takes.encoding,
        "parts": takes.count,
        "units": takes.units,
        "left": takes.left,
        "characters": facts.wording.culprits[:SHOWN],
        "better": better and better.count,
        "total": total and _sms(total),
        "personal": personal and _personal(personal),
    }


def _personal(personal: Personal) -> View:
    return {
        "looked_at": personal.looked_at,
        "names": personal.names,
        "unknown_names": personal.unknown,
        "skipped": [{"reason": reason, **_told(number)} for reason, number in personal.unmade.items()],
        "by_parts": [{"parts": count, **_told(number)} for count, number in personal.by_parts.items()],
        "better": personal.better and _sms(personal.better),
    }


def _sms(number: Estimate) -> View:
    return {"sms": number.number, "within": number.within}


def _audience(facts: Facts) -> View | None:
    counted = facts.survey
    if counted is None:
        return None
    zones = [{"timezone": one.zone, "clients": one.people, "opens_at": one.at} for one in facts.openings]
    codes = _most("operator_code", counted.operator_codes)
    tags = None if counted.tags is None else _most("tag", counted.tags)
    return {
        "clients": counted.clients,
        "skipped": [{"reason": reason, "clients": number} for reason, number in counted.skipped.items()],
        **_cut("operator_codes", codes),
        **_cut("timezones", zones),
        **(_cut("tags", tags) if tags is not None else {"tags": None, "other_tags": counted.reached}),
        "hours": [{"hour": hour, "clients": number} for hour, number in facts.by_hour.items()],
    }


def _pace(facts: Facts) -> View:
    seconds = (facts.done_at - facts.starts_at).total_seconds() if facts.done_at else None
    return {
        "dispatchers": facts.dispatchers,
        "rate": facts.rate and facts.rate.per_second,
        "rate_from": facts.rate and facts.rate.because,
        "ahead": facts.ahead,
        "seconds": seconds,
        "done_at": facts.done_at,
        "fits": facts.fits,
    }


def _overlap(overlap: Overlap | None) -> View | None:
    if overlap is None:
        return None
    mailings = islice(overlap.mailings, SHOWN)
    return _told(overlap.people) | {"mailings": [{"mailing_id": one, **_told(number)} for one, number in mailings]}


def _origins(origins: Origins | None) -> View | None:
    if origins is None:
        return None
    return {
        "timezone": origins.default,
        **_told(origins.people),
        "suggested": _named("timezone", origins.suggested),
        "ambiguous": _told(origins.ambiguous),
        "operators": _named("operator", origins.operators),
    }


def _told(number: Estimate) -> View:
    return {"clients": number.number, "within": number.within}


def _named(name: str, some: Iterable[tuple[str, Estimate]]) -> list[View]:
    return [{name: value, **_told(number)} for value, number in some]


def _most(name: str, counts: Mapping[str, int]) -> list[View]:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{name: value, "clients": number} for value, number in ordered]


def _cut(name: str, some: Sequence[View]) -> View:
    return {name: some[:SHOWN], f"other_{name}": sum(one["clients"] for one in some[SHOWN:])}
