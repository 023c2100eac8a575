"""What a filter is to the database: a condition on `clients`, with what has to stand before it in the statement.

The only place where filters become SQL. The text is made of constants of this module; names and values are bound, and
stay what they are. A filter has to pay for what it uses: one that has tags alone is one comparison.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, text

from shared.audience.imports import TAKEN
from shared.domain.filter import Criteria, Exclusion, Filter, ValuesByName
from shared.domain.message import UNDELIVERED_STATES
from shared.domain.segments import Audience
from shared.domain.state_sql import names

MAX_BY_INDEX = 20
"""Values of an attribute that are looked up in its index: each row that is found is held against all of them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Pieces of a statement. parts: of its `with`. joins: behind `clients`. conditions: by the members of the filter,
    as `tags` or `exclude.tags`; all are true for those who are chosen. values: to be bound. columns: those of them that
    are not, since they stand in a relation of the statement, each with its type."""

    parts: tuple[str, ...]
    joins: str
    conditions: Mapping[str, str]
    values: dict[str, Any]
    columns: Mapping[str, str]

    @property
    def condition(self) -> str:
        return _all_of(self.conditions.values())


@dataclass(frozen=True, slots=True)
class Span:
    """Clients of these ids, as expressions: after the one, up to the other."""

    after: str
    last: str


def chosen(audience: Audience, parts: Collection[int], span: Span | None = None, relation: str = "") -> Chosen:
    """What chooses the clients of an audience.

    Args:
        parts: where the messages of the mailings are that it excludes, see `read_parts`.
        span: clients that the statement looks at, which it reads by their key; None: all of them, by whatever way is
            the best.
        relation: of the statement, where it is about several audiences that are written alike: a row of it has the
            values of one. Which parts are looked into is bound in any case, so that no other one is planned for.
    """
    writer = _Writer(audience, parts, is_span=span is not None, relation=relation)
    conditions = dict(writer.of_filter(audience.filter, is_outermost=True))
    if not writer.imports:
        return Chosen((), "", conditions, writer.values, writer.columns)
    taken = TAKEN.format(imports=writer.imports, **asdict(span or _ALL))
    return Chosen((taken,), _TAKEN_BY if writer.is_joined else "", conditions, writer.values, writer.columns)


_ALL = Span("cast(0 as bigint)", f"cast({2**63 - 1} as bigint)")
_TAKEN_BY = "left join taken on taken.client_id = clients.id"


def read_parts(connection: Connection, audience: Audience) -> Collection[int]:
    """Where the messages of those mailings are that an audience excludes."""
    ids = audience.mailings
    return connection.scalars(_PARTS, {"ids": sorted(ids)}).all() if ids else ()


_PARTS = text("select distinct part from mailings where id = any(:ids) and part is not null order by part")


class _Writer:
    """Of one condition. values, columns: as `Chosen` has them. imports: all that it asks for, as they stand in the
    statement; empty: none. is_joined: it asks of each client which imports took them."""

    def __init__(self, audience: Audience, parts: Collection[int], *, is_span: bool, relation: str) -> None:
        self._audience, self._parts, self._is_span, self._relation = audience, parts, is_span, relation
        self.values: dict[str, Any] = {}
        self.columns: dict[str, str] = {}
        self.imports = ""
        self.is_joined = False

    def of_filter(self, filter_: Filter, *, is_outermost: bool = False) -> Iterator[tuple[str, str]]:
        """What has to be true, by member. What is null, as an attribute that a client does not have, is not."""
        yield from self._of_lists(filter_)
        if filter_.imports:
            yield "imports", self._of_imports(filter_.imports, leads=is_outermost and self._is_span)
        for name, excluded in self._of_exclusion(filter_.exclude):
            yield f"exclude.{name}", f"({excluded}) is not true"

    def _of_exclusion(self, exclude: Exclusion) -> Iterator[tuple[str, str]]:
        yield from self._of_lists(exclude)
        if exclude.imports:
            yield "imports", self._of_imports(exclude.imports)
        if exclude.mailings and self._parts:
            yield "mailings", self._of_mailings(exclude.mailings)

    def _of_lists(self, lists: Criteria) -> Iterator[tuple[str, str]]:
        if lists.operator_codes:
            yield "operator_codes", f"operator_code = any({self._bind('codes', lists.operator_codes, 'text[]')})"
        if lists.tags:
            yield "tags", f"tag = any({self._bind('tags', lists.tags, 'text[]')})"
        if lists.timezones:
            yield "timezones", f"timezone = any({self._bind('zones', lists.timezones, 'text[]')})"
        if lists.attributes:
            yield "attributes", f"({_all_of(self._of_attributes(lists.attributes))})"
        if lists.segments:
            yield "segments", f"({' or '.join(map(self._of_segment, lists.segments))})"

    def _of_imports(self, imports: Iterable[int], *, leads: bool = False) -> str:
        """leads: to the clients by their key, as an array does, whatever the statistics say."""
        self.imports = self.imports or self._bind("imports", sorted(self._audience.imports), "bigint[]")
        took = f"taken.imports && {self._bind('took', imports, 'bigint[]')}"
        if leads:
            return f"clients.id = any(array(select client_id from taken where {took}))"
        self.is_joined = True
        return took

    def _of_attributes(self, attributes: ValuesByName) -> Iterator[str]:
        for name, values in attributes:
            if self._is_span or len(values) > MAX_BY_INDEX:
                named, wanted = self._bind("name", name, "text"), self._bind("values", values, "jsonb[]")
                yield f"attributes -> {named} = any({wanted})"
            else:  # as the index has it
                objects = [f"{{{json.dumps(name, ensure_ascii=False)}: {value}}}" for value in values]
                yield f"attributes @> any({self._bind('objects', objects, 'jsonb[]')}) and attributes <> '{{}}'"

    def _of_segment(self, segment_id: int) -> str:
        return f"({_all_of(dict(self.of_filter(self._audience.segments[segment_id])).values())})"

    def _of_mailings(self, mailings: Iterable[int]) -> str:
        """One look into the index of each part for each client, whatever the statistics say: so it is no `exists`."""
        parts = self._bind("parts", self._parts, "int[]", is_planned_for=True)
        return f"""
            select true from messages m where m.part = any({parts}) and m.client_id = clients.id
              and m.mailing_id = any({self._bind("mailings", mailings, "bigint[]")})
              and m.status not in {names(UNDELIVERED_STATES)}
            limit 1"""

    def _bind(self, name: str, value: Any, kind: str, *, is_planned_for: bool = False) -> str:
        """As it stands in the statement. kind: its type. is_planned_for: how it is carried out depends on it."""
        unique = f"{name}_{len(self.values) + 1}"
        self.values[unique] = value if isinstance(value, str) else list(value)
        if not self._relation or is_planned_for:
            return f"cast(:{unique} as {kind})"
        self.columns[unique] = kind
        return f"{self._relation}.{unique}"


def _all_of(conditions: Iterable[str]) -> str:
    return " and ".join(conditions) or "true"
