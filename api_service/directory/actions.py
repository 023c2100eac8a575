"""What can be done with clients: a function is a use case, and one transaction."""

from collections.abc import Mapping
from typing import Any

from api_service.directory import store
from api_service.web.page import Listing, Part
from api_service.web.work import Work
from shared.database.models import Client
from shared.messages.cancel import cancel_client
from shared.messages.follow import follow_phone


def list_part(work: Work, part: Part, filters: Mapping[str, Any]) -> Listing[Client]:
    """In the order of ids. filters: values by member; a reference is one of whoever asks."""
    with work.look() as session:
        return store.list_part(session, part, filters, work.actor.owner)


def find(work: Work, client_id: int) -> Client:
    """Raises NotFound."""
    with work.read() as session:
        return store.find(session, client_id)


def create(work: Work, values: Mapping[str, Any]) -> dict[str, Any]:
    """One statement, its line of the audit included. Raises Taken."""
    with work.statement() as connection:
        return store.create(connection, values, work.actor)


def change(work: Work, client_id: int, values: Mapping[str, Any]) -> Client:
    """With their phone, that of their messages which were never called. Raises NotFound, Changed, Taken."""
    with work.act() as act:
        client = store.find(act.session, client_id, lock=True)
        act.expect(client.revision)
        if changed := store.change(act.session, client, values, work.actor.owner):
            if "phone" in changed:
                follow_phone(act.connection, client_id, client.phone)
            act.note("change", "client", client_id, changed)
    return client


def delete(work: Work, client_id: int) -> None:
    """Also cancels the client's open messages. Raises NotFound, Changed."""
    with work.act() as act:
        client = store.find(act.session, client_id, lock=True)
        act.expect(client.revision)
        act.session.delete(client)
        act.session.flush()
        cancel_client(act.connection, act.entries, client_id)
        act.note("delete", "client", client_id)
