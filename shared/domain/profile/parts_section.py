"""Values, secrets, senders, limits and routing of a profile, as its document says them. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from shared.domain.profile.lines import spelled
from shared.domain.profile.provider import LONGEST_SENDER, Limits, Routing, Secret, Source
from shared.domain.profile.section import Section, integer, number, texts
from shared.domain.profile.template import NAME, OF_A_MESSAGE

LONGEST_VALIDITY = 31 * 86400

_SECRET = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]{0,127})|file:(/[^\0\n]{1,1000})")


def read_values(section: Section) -> Mapping[str, str]:
    """What else templates name, and nobody has to keep secret."""
    table, found = section.section("values"), {}
    for name in table.names:
        _look_at_name(table, name)
        value = table.take(name, _value, "")
        found[name] = value
    return found


def read_secrets(section: Section) -> Mapping[str, Secret]:
    """Where they are, not what they are."""
    table, found = section.section("secrets"), {}
    for name in table.names:
        _look_at_name(table, name)
        key = (*table.key, name)
        source, where = table.take(name, _secret, (Source.ENV, ""))
        line = table.faults.lines.get(key, 0)
        found[name] = Secret(source, where, f"line {line}, {spelled(key)}" if line else spelled(key))
    return found


def read_senders(section: Section) -> tuple[str, ...]:
    return section.take("senders", _senders, ())


def read_limits(section: Section, default: Limits) -> Limits:
    table = section.section("limits")
    limits = Limits(
        table.take("timeout", number(0.05, 300), default.timeout),
        table.take("concurrency", integer(1, 10_000), default.concurrency),
        table.take("rate", number(0, 1_000_000), default.rate),
        table.take("validity", _validity, default.validity),
    )
    table.end()
    return limits


def read_routing(section: Section) -> Routing:
    table = section.section("routing")
    routing = Routing(table.take("operator_codes", _codes, ()), table.take("weight", integer(0, 1000), 1))
    table.end()
    return routing


def _look_at_name(table: Section, name: str) -> None:
    if not NAME.fullmatch(name):
        table.fault("must be small letters, digits and _, 32 at the most, a letter first", name)
    elif name in OF_A_MESSAGE:
        table.fault("is the name of something that each message has", name)


def _value(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("must be a text in one line")
    return value


def _secret(value: Any) -> tuple[Source, str]:
    found = _SECRET.fullmatch(value) if isinstance(value, str) else None
    if not found:  # it may be the secret itself, so it is not shown
        raise ValueError("must say where the secret is: env:NAME, or file: and a path from the root")
    return (Source.ENV, found[1]) if found[1] else (Source.FILE, found[2])


def _senders(value: Any) -> tuple[str, ...]:
    senders = texts(value)
    for sender in senders:
        if len(sender) > LONGEST_SENDER or not sender.isprintable() or sender != sender.strip():
            raise ValueError(f"must be names or numbers of {LONGEST_SENDER} characters at the most (not {sender!r})")
    return senders


def _codes(value: Any) -> tuple[str, ...]:
    codes = texts(value)
    if not all(re.fullmatch("[0-9]{3}", code) for code in codes):
        raise ValueError('must be operator codes of three digits, such as ["916", "917"]')
    return codes


def _validity(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(type(item) is int for item in value):
        raise ValueError("must be the least and the most seconds that the provider takes, such as [60, 86400]")
    least, most = value
    if not 1 <= least <= most <= LONGEST_VALIDITY:
        raise ValueError(f"must be seconds from 1 to {LONGEST_VALIDITY}, the least first")
    return least, most
