"""The directory of clients, in the database."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, select, text
from sqlalchemy.orm import Session

from api_service.web.page import Listing, Part, cut
from api_service.web.problems import NotFound
from api_service.web.reference import unique
from shared.audit import NOTE, Actor
from shared.database.models import Client
from shared.domain.attributes import are_same


def list_part(session: Session, part: Part, filters: Mapping[str, Any], owner: str) -> Listing[Client]:
    """In the order of ids, as of one moment. filters, owner: see `matching`."""
    return cut(session, matching(filters, owner), Client.id, part)


def matching(filters: Mapping[str, Any], owner: str) -> Select[Client]:
    """filters: values by member. owner: of a reference."""
    query = select(Client).filter_by(**filters)
    return query.where(Client.reference_owner == owner) if "reference" in filters else query


def find(session: Session, client_id: int, *, lock: bool = False) -> Client:
    """lock: nobody else changes it until the end of the transaction. Raises NotFound."""
    client = session.get(Client, client_id, with_for_update=lock or None)
    if client is None:
        raise NotFound(f"There is no client {client_id}.")
    return client


def create(connection: Connection, values: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """What `ClientSchema` wants. Raises Taken."""
    with unique("client", "phone", "reference"):
        who = {"owner": actor.owner, "by": actor.by, "request_id": actor.request_id}
        attributes = json.dumps(values["attributes"])
        client_id = connection.execute(_CREATE, {**values, **who, "attributes": attributes}).scalar_one()
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


def _is(present: Any, value: Any) -> bool:
    return are_same(present, value) if isinstance(present, dict) else present == value


_CREATE = text(f"""
    with made as (
        insert into clients (phone, operator_code, tag, timezone, attributes, reference, reference_owner) values
            (:phone, :operator_code, :tag, :timezone, cast(:attributes as jsonb), :reference, :owner)
        returning id
    ), {NOTE.format(action="create", thing="client", rows="made")}
    select id from made
""")
