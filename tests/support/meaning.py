"""What a filter means, told in Python and as simply as can be: what the database chooses is held against it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Lists = Mapping[str, Any]


@dataclass
class World:
    """segments: filters by id. imports: ids of the clients whom each took. messages: by mailing, of each client who has
    one its state."""

    segments: dict[int, Lists] = field(default_factory=dict)
    imports: dict[int, set[int]] = field(default_factory=dict)
    messages: dict[int, dict[int, str]] = field(default_factory=dict)


def is_chosen(client: Mapping[str, Any], wanted: Lists, world: World) -> bool:
    """wanted: a filter as in JSON, of which lists may be left out."""
    exclude = wanted.get("exclude", {})
    return all(_answers(client, wanted, world)) and not any(_answers(client, exclude, world))


def _answers(client: Mapping[str, Any], lists: Lists, world: World) -> Iterable[bool]:
    """Of each list that is not empty: whether the client matches it."""
    for member, column in (("operator_codes", "operator_code"), ("tags", "tag"), ("timezones", "timezone")):
        if lists.get(member):
            yield client[column] in lists[member]
    if lists.get("attributes"):
        yield all(
            name in client["attributes"] and any(_is(client["attributes"][name], one) for one in values)
            for name, values in lists["attributes"].items()
        )
    if lists.get("segments"):
        yield any(is_chosen(client, world.segments[one], world) for one in lists["segments"])
    if lists.get("imports"):
        yield any(client["id"] in world.imports[one] for one in lists["imports"])
    if lists.get("mailings"):
        got = (world.messages.get(one, {}).get(client["id"]) for one in lists["mailings"])
        yield any(state in ("pending", "sending", "retrying", "sent", "unknown") for state in got)


def _is(one: Any, other: Any) -> bool:
    """As in JSON, where 1.0 is 1, and true is neither."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
