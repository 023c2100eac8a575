"""The rules of a profile, as its document says them. Pure."""

import re
from typing import Any

from shared.domain.message import Error
from shared.domain.profile.patterns import check
from shared.domain.profile.rules import TYPES, Path, Rule, Spot, parse_path, parse_place
from shared.domain.profile.section import Section, choice
from shared.domain.profile.section import text as any_text
from shared.domain.retry import OutcomeKind

_GOOD = frozenset(range(200, 300))
_WITHOUT_BODY = frozenset({204, 205, 304})

_ERRORS: dict[OutcomeKind, tuple[Error, ...]] = {
    OutcomeKind.ACCEPTED: (),
    OutcomeKind.REFUSED: (Error.REJECTED,),
    OutcomeKind.TRANSIENT: (Error.DECLINED, Error.SERVER_ERROR),
    OutcomeKind.LIMITED: (Error.RATE_LIMITED,),
    OutcomeKind.UNAUTHORIZED: (Error.UNAUTHORIZED, Error.UNPAID, Error.WRONG_ADDRESS),
    OutcomeKind.AMBIGUOUS: (Error.BAD_ANSWER,),
}
"""What an outcome may be counted as; the first where the rule names none."""

_OUTCOMES = [str(kind) for kind in OutcomeKind]


def read_rules(profile: Section) -> tuple[Rule, ...]:
    """Those that make sense; what is wrong with the others is noted."""
    rules: list[Rule] = []
    for section in profile.sections("rules"):
        before = len(section.faults.found)
        rule = _rule(section)
        if rule and len(section.faults.found) == before:
            if why := _never(rule, rules):
                section.fault(why)
            rules.append(rule)
    return tuple(rules)


def read_spot(profile: Section, name: str) -> Spot | None:
    """Where a reference or a reason stands."""
    if name not in profile:
        return None
    section = profile.section(name)
    path, pattern = section.take("path", _place, None), section.take("pattern", _pattern, None)
    section.end()
    if ("path" in section) == ("pattern" in section):
        section.fault("must have a path or a pattern")
    return Spot(path, pattern)


def _rule(section: Section) -> Rule | None:
    statuses = section.take("status", _statuses, _GOOD)
    path, pattern = section.take("path", _path, None), section.take("pattern", _pattern, None)
    values = section.take("is", _values, None)
    kind = section.take("type", choice(list(TYPES)), "")
    named = section.take("outcome", choice(_OUTCOMES), "")
    error = section.take("error", choice([str(error) for some in _ERRORS.values() for error in some]), "")
    section.end()
    if "outcome" not in section:
        section.fault(f"must have an outcome: one of {', '.join(_OUTCOMES)}")
    if not named:
        return None
    outcome = OutcomeKind(named)
    if sum(each in section for each in ("is", "type", "pattern")) > 1:
        section.fault("may have only one of is, type and pattern")
    if path is None and ("is" in section or "type" in section):
        section.fault("must have a path: is and type look at a value of the answer")
    if outcome is OutcomeKind.ACCEPTED and not statuses <= _GOOD:
        section.fault("accepted goes with statuses from 200 to 299 only", "status")
    allowed = _ERRORS[outcome]
    if error and Error(error) not in allowed:
        section.fault(f"{outcome} is counted as {' or '.join(allowed) or 'nothing'}", "error")
    chosen = Error(error) if error else allowed[0] if allowed else None
    return Rule(statuses, outcome, chosen, path, values, kind or None, pattern)


def _never(rule: Rule, before: list[Rule]) -> str | None:
    """Why a rule can never hold; None: it can."""
    if (rule.path is not None or rule.pattern is not None) and rule.statuses <= _WITHOUT_BODY:
        return "can never hold: an answer of this status has no body"
    for at, earlier in enumerate(before):
        if rule.statuses <= earlier.statuses and _covers(earlier, rule):
            return f"can never hold: rule {at + 1} takes all that it would"
    return None


def _covers(earlier: Rule, rule: Rule) -> bool:
    """Whether all that the rule takes, the earlier one has taken; their statuses apart."""
    if earlier.path is None and earlier.pattern is None:
        return True
    if earlier.path != rule.path:
        return False
    if earlier.pattern is not None:
        return earlier.pattern == rule.pattern
    if earlier.values is not None:
        wanted = {(type(value), value) for value in earlier.values}
        return rule.values is not None and {(type(value), value) for value in rule.values} <= wanted
    return earlier.type is None or _types(rule) <= set(TYPES[earlier.type])


def _types(rule: Rule) -> set[type]:
    """Which types the values have that it takes."""
    if rule.values is not None:
        return {type(value) for value in rule.values}
    if rule.pattern is not None:
        return {str}
    return set(TYPES[rule.type]) if rule.type else {object}


def _statuses(value: Any) -> frozenset[int]:
    found: set[int] = set()
    for item in value if isinstance(value, list) else [value]:
        if type(item) is int and 200 <= item <= 599:
            found.add(item)
        elif isinstance(item, str) and re.fullmatch("[2-5]xx", item):
            found.update(range(int(item[0]) * 100, int(item[0]) * 100 + 100))
        else:
            raise ValueError('must be a status from 200 to 599, a class such as "4xx", or a list of these')
    if not found:
        raise ValueError("can never hold: it names no status")
    return frozenset(found)


def _path(value: Any) -> Path:
    return parse_path(any_text(value))


def _place(value: Any) -> Path:
    return parse_place(any_text(value))


def _pattern(value: Any) -> str:
    check(any_text(value))
    return str(value)


def _values(value: Any) -> tuple[Any, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(type(item) in (str, int, float, bool) for item in values):
        raise ValueError("must be a text, a number, true or false, or a list of these")
    return tuple(values)
