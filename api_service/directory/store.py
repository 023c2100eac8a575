"""The directory of clients, in the database."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Select, select, text, update
from sqlalchemy.orm import Session

from api_service.directory.comparing import LISTED, KeyMissing, asked
from api_service.web.page import Listing, Part, cut
from api_service.web.problems import NotFound
from api_service.web.reference import unique
from shared.audit import NOTE, Actor
from shared.database.models import Client, Erasure, FormerPhone, Suppression
from shared.domain.attributes import are_same
from shared.domain.digests import Digests
from shared.suppression import HOLD, KEYS_ARE_KNOWN


def list_part(session: Session, part: Part, filters: Mapping[str, Any], owner: str) -> Listing[Client]:
    """In the order of ids, as of one moment. filters, owner: see `matching`."""
    return cut(session, matching(filters, owner), Client.id, part)


def matching(filters: Mapping[str, Any], owner: str) -> Select[Client]:
    """filters: values by member; of attributes, lists of values by name. owner: of a reference."""
    query = select(Client).filter_by(**{name: value for name, value in filters.items() if name != "attributes"})
    for number, (name, values) in enumerate(filters.get("attributes", {}).items()):
        objects = [json.dumps({name: value}, ensure_ascii=False) for value in values]
        query = query.where(text(_OF_ATTRIBUTE.format(number=number)).bindparams(**{f"objects_{number}": objects}))
    return query.where(Client.reference_owner == owner) if "reference" in filters else query


def find(session: Session, client_id: int, *, lock: bool = False) -> Client:
    """lock: nobody else changes it until the end of the transaction. Raises NotFound."""
    client = session.get(Client, client_id, with_for_update=lock or None)
    if client is None:
        raise NotFound(f"There is no client {client_id}.")
    return client


def create(connection: Connection, values: Mapping[str, Any], actor: Actor, digests: Digests) -> dict[str, Any]:
    """What `ClientSchema` wants. Raises Taken, KeyMissing."""
    with unique("client", "phone", "reference"):
        who = {"owner": actor.owner, "by": actor.by, "request_id": actor.request_id}
        attributes = json.dumps(values["attributes"])
        compared = asked(digests, values["phone"])
        made = {**values, **who, **compared, "attributes": attributes}
        client_id = connection.execute(_CREATE, made).scalar_one_or_none()
    if client_id is None:
        raise KeyMissing
    return {"id": client_id, "revision": 1, **values}


def change(session: Session, client: Client, values: Mapping[str, Any], owner: str) -> set[str]:
    """Sets the fields of a locked client and returns those that really changed. Raises Taken.

    owner: of the reference.
    """
    changed = {name for name, value in values.items() if not _is(getattr(client, name), value)}
    if not changed:
        return changed
    if "reference" in changed:
        client.reference_owner = owner
    for name in changed:
        setattr(client, name, values[name])
    client.revision += 1
    with unique("client", "phone", "reference"):
        session.flush()
    return changed


def former_phones(session: Session, client_id: int) -> set[int]:
    return set(session.scalars(select(FormerPhone.phone).where(FormerPhone.client_id == client_id)))


def note_erasure(session: Session, client_id: int, phones: Collection[int]) -> None:
    """For who erases what is left of them elsewhere. phones: as far as they are known."""
    known: Collection[int | None] = phones or [None]
    session.add_all([Erasure(client_id=client_id, phone=phone) for phone in known])
    session.execute(update(Suppression).where(Suppression.phone.in_(phones)).values(phone=None))


def _is(present: Any, value: Any) -> bool:
    return are_same(present, value) if isinstance(present, dict) else present == value


_OF_ATTRIBUTE = """
    clients.attributes @> any(cast(:objects_{number} as jsonb[])) and clients.attributes <> '{{}}'
"""
"""As the index has it."""

_CREATE = text(f"""
    {HOLD};
    with made as (
        insert into clients (phone, operator_code, tag, timezone, attributes, reference, reference_owner,
                             suppression_id)
        select :phone, :operator_code, :tag, :timezone, cast(:attributes as jsonb), :reference, :owner, {LISTED}
        where {KEYS_ARE_KNOWN}
        returning id
    ), {NOTE.format(action="create", thing="client", rows="made")}
    select id from made
""")
