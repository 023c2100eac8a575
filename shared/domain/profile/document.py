"""A file of providers, checked: TOML to profiles, or all that is wrong with it by line and key. Pure."""

import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from shared.domain.errors import NotificationError
from shared.domain.profile.lines import lines_of
from shared.domain.profile.parts_section import read_limits, read_routing, read_secrets, read_senders, read_values
from shared.domain.profile.provider import Limits, Provider, Providers, Reading
from shared.domain.profile.receipts import Receipts, ReceiptsError
from shared.domain.profile.receipts import parse as parse_receipts
from shared.domain.profile.request_section import read_request
from shared.domain.profile.rule_section import read_rules, read_spot
from shared.domain.profile.section import Fault, Faults, Section, choice
from shared.domain.profile.template import OF_A_MESSAGE, slots_in

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""Of a provider: it stands in addresses and in the labels of metrics."""

Presets = Mapping[str, Mapping[str, Any]]


class DocumentError(NotificationError):
    """All that is wrong with a document."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def read_document(text: str, presets: Presets, limits: Limits) -> Providers:
    """The providers of a file.

    Args:
        text: the file.
        presets: profiles that it may name, as tables.
        limits: those of a provider that names none.

    Raises:
        DocumentError: it is no TOML, or something in it makes no sense.
    """
    try:
        document = tomllib.loads(text)
        faults = Faults(lines_of(text))
    except (ValueError, RecursionError) as error:
        raise DocumentError([_syntax(str(error))]) from error
    root = Section(document, (), faults)
    tables = root.section("providers")
    root.end()
    if not tables.names and not faults.found:
        faults.add(("providers",), "must have a table for each provider: [providers.NAME]")
    providers = [read_provider(tables.section(name), presets, limits) for name in tables.names]
    if faults.found:
        raise DocumentError(sorted(faults.found))
    return Providers(providers)


def read_provider(section: Section, presets: Presets, limits: Limits) -> Provider:
    """One profile; what is wrong is noted in the section's faults, and stands in the way of nothing."""
    name = str(section.key[-1])
    if not NAME.fullmatch(name):
        section.fault("must be named by small letters, digits, - and _, 32 at the most, a letter first")
    preset = section.take("preset", choice(list(presets)), None)
    if preset:
        joined = join(presets[preset], {key: section.raw(key) for key in section.names if key != "preset"})
        if "receipts" not in section:  # they ask for more than sending does, so they are asked for
            joined.pop("receipts", None)
        section = Section(joined, section.key, section.faults)
    values = read_values(section)
    secrets = read_secrets(section)
    senders = read_senders(section)
    alphabet = _alphabet(section)
    request = read_request(section, values, alphabet)
    reading = Reading(read_rules(section), read_spot(section, "reference"), read_spot(section, "reason"))
    routing = read_routing(section)
    limits = read_limits(section, limits)
    receipts = _receipts(section, values.keys() | secrets.keys())
    section.end()
    provider = Provider(
        name, request, reading, limits, routing, senders, values, secrets, alphabet=alphabet, receipts=receipts
    )
    _look_at_names(section, provider)
    return provider


def join(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """What `over` says, and of `under` the rest: tables key by key, everything else as a whole."""
    joined = {key: dict(value) if isinstance(value, dict) else value for key, value in under.items()}
    for key, value in over.items():
        before = joined.get(key)
        joined[key] = join(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return joined


def _receipts(section: Section, names: Collection[str]) -> Receipts | None:
    if "receipts" not in section:
        return None
    table = section.raw("receipts")
    try:
        return parse_receipts(table, names)
    except ReceiptsError as error:
        section.fault(str(error), "receipts", *error.key.split("."))
        return None


def _alphabet(section: Section) -> tuple[str, str] | None:
    if "alphabet" not in section:
        return None
    table = section.section("alphabet")
    pair = table.raw("gsm7"), table.raw("other")
    table.end()
    if not all(isinstance(part, str) for part in pair):
        table.fault('must have the texts gsm7 and other, such as { gsm7 = "0", other = "2" }')
    return str(pair[0]), str(pair[1])


def _look_at_names(section: Section, provider: Provider) -> None:
    """Every placeholder must stand for something, and everything that is named for one must be used."""
    request = provider.request
    used = {slot.name for slot in slots_in((request, provider.receipts))}
    is_whole = "receipts" not in section or provider.receipts is not None  # else nobody knows what these use
    known = provider.values.keys() | provider.secrets.keys()
    for missing in sorted({slot.name for slot in slots_in(request)} - known - OF_A_MESSAGE):
        section.fault(f"{{{missing}}} stands for nothing: name it in values or secrets")
    for kind in ("values", "secrets"):
        for name in getattr(provider, kind):
            if name not in used and is_whole:
                section.fault(f"{{{name}}} is used nowhere", kind, name)
    for name in provider.values.keys() & provider.secrets.keys():
        section.fault("has the name of a value", "secrets", name)
    if "alphabet" in used and provider.alphabet is None:
        section.fault("{alphabet} stands for nothing: name it in alphabet")
    if not provider.senders and any(slot.name == "sender" and slot.is_required for slot in slots_in(request)):
        section.fault("must be given: the provider takes no message without a sender", "senders")
    for name in ("phone", "text"):
        if name not in used:
            section.fault(f"{{{name}}} is nowhere in url, query, headers, form or json")
    if not any(rule.outcome == "accepted" for rule in provider.reading.rules):
        section.fault("must have one with the outcome accepted, or nothing would ever count as sent", "rules")


def _syntax(said: str) -> Fault:
    found = re.search(r"\(at line ([0-9]+), column [0-9]+\)", said)
    return Fault(int(found[1]) if found else 0, "TOML", said.partition(" (at ")[0])
