"""What can be done with clients: a function is a use case, and one transaction."""

from collections.abc import Mapping
from typing import Any

from api_service.directory import store
from api_service.directory.comparing import find_suppression
from api_service.web.page import Listing, Part
from api_service.web.problems import NotFound
from api_service.web.work import Act, Work
from shared.audit import was_deleted
from shared.database.models import Client
from shared.domain.digests import Digests
from shared.domain.reason import Reason
from shared.messages.cancel import cancel_client
from shared.messages.erase import erase_messages
from shared.messages.follow import follow_phone
from shared.messages.retime import retime_clients
from shared.messages.skip import skip_clients
from shared.suppression import forget_phones, hold, remember_phone


def list_part(work: Work, part: Part, filters: Mapping[str, Any]) -> Listing[Client]:
    """In the order of ids. filters: values by member; a reference is one of whoever asks."""
    with work.look() as session:
        return store.list_part(session, part, filters, work.actor.owner)


def find(work: Work, client_id: int) -> Client:
    """Raises NotFound."""
    with work.read() as session:
        return store.find(session, client_id)


def create(work: Work, digests: Digests, values: Mapping[str, Any]) -> dict[str, Any]:
    """One round trip, its line of the audit included. Raises Taken, KeyMissing."""
    with work.statement() as connection:
        return store.create(connection, values, work.actor, digests)


def change(work: Work, digests: Digests, client_id: int, values: Mapping[str, Any]) -> Client:
    """With their phone, that of their messages which were never called; with their zone, when what waits is due. Raises
    NotFound, Changed, Taken, KeyMissing."""
    with work.act() as act:
        if "phone" in values:
            hold(act.connection)
        client = store.find(act.session, client_id, lock=True)
        act.expect(client.revision)
        before = client.phone
        if changed := store.change(act.session, client, values, work.actor.owner):
            if "phone" in changed:
                _compare(act, digests, client, before)
                follow_phone(act.connection, client_id, client.phone)
            if "timezone" in changed:
                retime_clients(act.connection, act.entries, [client_id])
            act.note("change", "client", client_id, changed)
    return client


def _compare(act: Act, digests: Digests, client: Client, before: int) -> None:
    """With the list. What was called is repeated to the phone that they had before."""
    remember_phone(act.connection, client.id, before, client.phone, client.suppression_id)
    client.suppression_id = find_suppression(act.connection, digests, client.phone)
    if client.suppression_id is not None:
        skip_clients(act.connection, act.entries, [client.id], Reason.OPTED_OUT)


def erase(work: Work, client_id: int) -> None:
    """Deletes them with all that is known of them; harmless when repeated, and where they were deleted before. What
    became of their messages stays. Raises NotFound, Changed."""
    with work.act() as act:
        client = act.session.get(Client, client_id, with_for_update=True)
        phones = store.former_phones(act.session, client_id)
        if client is not None:
            act.expect(client.revision)
            phones.add(client.phone)
            _remove(act, client)
        elif not was_deleted(act.connection, "client", client_id):
            raise NotFound(f"There is no client {client_id}.")
        phones |= erase_messages(act.connection, client_id)
        store.note_erasure(act.session, client_id, phones)
        act.note("erase", "client", client_id)


def was_erased(work: Work, client_id: int) -> bool:
    with work.read() as session:
        return was_deleted(session.connection(), "client", client_id, ["erase"])


def delete(work: Work, client_id: int) -> None:
    """Also cancels the client's open messages. Raises NotFound, Changed."""
    with work.act() as act:
        client = store.find(act.session, client_id, lock=True)
        act.expect(client.revision)
        _remove(act, client)
        act.note("delete", "client", client_id)


def _remove(act: Act, client: Client) -> None:
    act.session.delete(client)
    act.session.flush()
    forget_phones(act.connection, client.id)
    cancel_client(act.connection, act.entries, client.id)
