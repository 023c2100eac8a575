"""What can be done with suppressions: a function is a use case, and one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from api_service.directory.comparing import (
    KeyMissing,
    find_suppression,
    find_suppressions,
    take_into_use,
    versions_in_use,
)
from api_service.web.page import Listing, Part, cut
from api_service.web.problems import NotFound
from api_service.web.work import Act, Work
from shared.database.models import Client, Suppression
from shared.domain.digests import Digests
from shared.domain.reason import Reason
from shared.messages.skip import skip_clients
from shared.suppression import flag, hold_alone, unflag


class Shown(NamedTuple):
    """A suppression as answers have it. client_id: who has the phone now; None: nobody."""

    id: int
    reason: str
    source: str
    since: datetime
    client_id: int | None


def list_part(work: Work, digests: Digests, part: Part, phone: int | None) -> Listing[Shown]:
    """In the order of ids, as of one moment. phone: only the suppression of this one. Raises KeyMissing."""
    with work.look() as session:
        query = select(Suppression)
        if phone is not None:
            query = query.where(Suppression.id == find_suppression(session.connection(), digests, phone))
        listing = cut(session, query, Suppression.id, part)
        client_ids = _clients(session, [one.id for one in listing.rows])
    return listing.of(lambda one: _shown(one, client_ids))


def find(work: Work, suppression_id: int) -> Shown:
    """Raises NotFound."""
    with work.look() as session:
        one = session.get(Suppression, suppression_id)
        if one is None:
            raise NotFound(f"There is no suppression {suppression_id}.")
        return _shown(one, _clients(session, [suppression_id]))


COUNTED = 50_000
"""Suppressions; where there are more, nobody is kept waiting for their number."""


def count(work: Work) -> int:
    """How many there are, up to one more than are counted."""
    with work.read() as session:
        number: int = session.connection().execute(_COUNT, {"most": COUNTED + 1}).scalar_one()
        return number


_COUNT = text("select count(*) from (select from suppressions limit :most) as counted")


def _clients(session: Session, ids: Sequence[int]) -> Mapping[int, int]:
    """Who is flagged by these, by their ids."""
    flagged = select(Client.suppression_id, Client.id).where(Client.suppression_id.in_(ids))
    return {suppression_id: client_id for suppression_id, client_id in session.execute(flagged) if suppression_id}


def _shown(one: Suppression, client_ids: Mapping[int, int]) -> Shown:
    return Shown(one.id, one.reason, one.source, one.since, client_ids.get(one.id))


def create(work: Work, digests: Digests, values: Mapping[str, Any]) -> Shown:
    """One that is there already stays as it is. What waits for the client is skipped. Raises KeyMissing."""
    with work.act() as act:
        connection, phone = act.connection, values["phone"]
        hold_alone(connection)
        known = find_suppression(connection, digests, phone)
        if known is None:
            known = _add(connection, digests, [values])[phone]
            act.note("create", "suppression", known)
        skip_clients(connection, act.entries, flag(connection, {phone: known}), Reason.OPTED_OUT)
        return _shown(act.session.get_one(Suppression, known), _clients(act.session, [known]))


def add_all(act: Act, digests: Digests, some: Sequence[Mapping[str, Any]]) -> int:
    """Many phones, each once; how many were not on the list. Raises KeyMissing."""
    if not some:
        return 0
    connection = act.connection
    hold_alone(connection)
    known = find_suppressions(connection, digests, [values["phone"] for values in some])
    new = [values for values in some if values["phone"] not in known]
    added = _add(connection, digests, new)
    skip_clients(connection, act.entries, flag(connection, {**known, **added}), Reason.OPTED_OUT)
    act.note("import", "suppressions", "", after={"created": len(new), "known": len(known)})
    return len(new)


def _add(connection: Connection, digests: Digests, new: Sequence[Mapping[str, Any]]) -> Mapping[int, int]:
    """Their ids, by phone. For who has the list alone, and has looked that they are not on it."""
    version = key_in_use(connection, digests)
    rows = {
        "version": version,
        "phones": [values["phone"] for values in new],
        "digests": [digests.of(values["phone"], version) for values in new],
        "reasons": [values["reason"] for values in new],
        "sources": [values["source"] for values in new],
    }
    return {row.phone: row.id for row in connection.execute(_ADD, rows)} if new else {}


_ADD = text("""
    insert into suppressions (phone, digest, key_version, reason, source)
    select phone, digest, cast(:version as smallint), reason, source
    from unnest(cast(:phones as bigint[]), cast(:digests as bytea[]), cast(:reasons as text[]),
                cast(:sources as text[])) as given (phone, digest, reason, source)
    returning phone, id
""")


def key_in_use(connection: Connection, digests: Digests) -> int:
    """The version that new rows are made with: the highest that any were, until `rotate` takes another one into use.
    Raises KeyMissing."""
    in_use = versions_in_use(connection, digests)
    version = max(in_use or digests.versions, default=None)
    if version is None:
        raise KeyMissing
    if not in_use:
        take_into_use(connection, digests, version)
    return version


def delete(work: Work, suppression_id: int) -> None:
    """From now on the phone may be written to; what was skipped stays so. Raises NotFound."""
    with work.act() as act:
        hold_alone(act.connection)
        if not act.connection.execute(_DELETE, {"id": suppression_id}).rowcount:
            raise NotFound(f"There is no suppression {suppression_id}.")
        unflag(act.connection, suppression_id)
        act.note("delete", "suppression", suppression_id)


_DELETE = text("delete from suppressions where id = :id")
