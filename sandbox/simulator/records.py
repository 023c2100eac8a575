"""What came in and what was accepted, by id. Pure; times are Unix times in seconds."""

import json
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Record:
    """Of one id."""

    received: int = 0
    first_received_at: float = 0
    last_received_at: float = 0
    accepted: int = 0
    first_accepted_at: float = 0
    last_accepted_at: float = 0
    confirmed: int = 0  # acceptances that the client was told of
    after_ok: int = 0  # requests that came after one of these
    open: int = 0  # requests without an answer, whose client still waits
    most_open: int = 0  # how many of them there were at the same time
    attempts: int = 0  # requests whose fate was drawn: not those in an outage
    hits: int = 0  # faults among these
    phone: int = 0  # of the last request, as the two that follow
    sender: str = ""
    validity: str = ""


class Records:
    def __init__(self) -> None:
        self._records: dict[int, Record] = {}
        self.accepted = 0  # ids
        self.doubled = 0  # ids accepted more than once
        self.overlapping = 0  # ids of which two requests were open at the same time
        self.resent = 0  # ids that came again after an answer with code 0
        self.last_received_at: float | None = None
        self.last_accepted_at: float | None = None

    def __len__(self) -> int:
        """How many ids came in."""
        return len(self._records)

    def receive(self, message_id: int, now: float) -> Record:
        """Opens a request."""
        record = self._records.get(message_id)
        if record is None:
            record = self._records[message_id] = Record(first_received_at=now)
        record.received += 1
        record.last_received_at = self.last_received_at = now
        record.open += 1
        if record.open > record.most_open:
            record.most_open = record.open
            self.overlapping += record.open == 2
        if record.confirmed:
            record.after_ok += 1
            self.resent += record.after_ok == 1
        return record

    def accept(self, record: Record, now: float) -> None:
        record.accepted += 1
        record.last_accepted_at = self.last_accepted_at = now
        if record.accepted == 1:
            record.first_accepted_at = now
            self.accepted += 1
        elif record.accepted == 2:
            self.doubled += 1

    def accepted_lines(self) -> Iterator[str]:
        """JSON for every accepted id."""
        for message_id, record in list(self._records.items()):
            if record.accepted:
                yield json.dumps({
                    "id": message_id, "count": record.accepted,
                    "first_at": record.first_accepted_at, "last_at": record.last_accepted_at,
                })  # fmt: skip

    def received_lines(self) -> Iterator[str]:
        """JSON for every id that came in."""
        for message_id, record in list(self._records.items()):
            yield json.dumps({
                "id": message_id, "count": record.received,
                "first_at": record.first_received_at, "last_at": record.last_received_at,
                "most_open": record.most_open, "after_ok": record.after_ok,
                "phone": record.phone, "sender": record.sender, "validity": record.validity,
            })  # fmt: skip
