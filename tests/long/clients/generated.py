"""Uses the client that openapi-python-client has made, in the current directory: `python generated.py URL`.

Runs under a Python that has nothing of ours.
"""

import io
import sys
from datetime import UTC, datetime, timedelta

from notification_service_client import Client
from notification_service_client.api.clients import (
    change_client,
    create_client,
    get_client,
    list_clients,
    replace_client,
)
from notification_service_client.api.controls import pause_mailing
from notification_service_client.api.imports import import_clients
from notification_service_client.api.mailings import create_mailing
from notification_service_client.models import ClientChanges, ClientReplacement, NewClient, NewMailing
from notification_service_client.types import File


def main(url: str) -> None:
    client = Client(base_url=url, raise_on_unexpected_status=True)
    anna = NewClient(phone="79123456789", tag="vip")
    made = create_client.sync(client=client, body=anna, idempotency_key="k")
    assert create_client.sync(client=client, body=anna, idempotency_key="k").id == made.id
    again = replace_client.sync(
        made.id, client=client, body=ClientReplacement.from_dict(made.to_dict()), if_match='"1"'
    )
    assert again.to_dict() == made.to_dict()
    changed = change_client.sync(made.id, client=client, body=ClientChanges(tag="new"))
    assert (changed.tag, changed.revision) == ("new", 2)
    lost = change_client.sync(made.id, client=client, body=ClientChanges(tag="old"), if_match='"1"')
    assert lost.type_.value == "changed", lost
    assert [one.id for one in list_clients.sync(client=client, phone="79123456789")] == [made.id]
    assert get_client.sync(made.id + 1, client=client).type_.value == "not-found"

    file = File(payload=io.BytesIO(b"phone,tag\n79123456780,vip\n"), mime_type="application/octet-stream")
    assert import_clients.sync(client=client, body=file, name="crm").created == 1

    start = datetime.now(UTC) + timedelta(hours=1)
    mailing = create_mailing.sync(
        client=client, body=NewMailing(text="Hello", starts_at=start, ends_at=start + timedelta(hours=1))
    )
    assert pause_mailing.sync(mailing.id, client=client).state.value == "paused"


if __name__ == "__main__":
    main(sys.argv[1])
