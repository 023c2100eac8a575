"""A mailing in flight while something breaks, and what must hold of it all the same.

flight = Flight(system, 1000)
with flight.user() as user:
    flight.until_under_way()
    with some_fault():
        ...
    flight.recover()
flight.land("what broke")
"""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import psycopg2
import requests

from notification_client import Json
from sandbox.simulator.control import Received
from sandbox.simulator.faults import Faults
from shared import clock
from shared.domain.message import AMBIGUOUS_ERRORS, FINAL_STATES, MessageState
from tests.e2e.system import System, with_status
from tests.faults.stage import HEALTHY_WITHIN
from tests.support.waiting import patience

PROMPT = 2.0
"""Seconds for an answer of the API that nothing stands in the way of."""

_ASK_EVERY = 0.1
_CREATE_EVERY = 0.5
_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """at, seconds: when it was asked for and how long that took. status: 0 where there was none."""

    at: float
    seconds: float
    status: int
    retry_after: str | None = None

    @property
    def is_good(self) -> bool:
        return self.status in (200, 201)


class User:
    """Looks at a mailing and creates others, all the time, in threads of his own. The ledger balances in all he sees,
    and no final state is left again."""

    def __init__(self, url: str, mailing_id: int) -> None:
        self.answers: list[Answer] = []
        self._url, self._mailing_id = url, mailing_id
        self._stop = threading.Event()
        self._complaint: str | None = None
        self._final: dict[MessageState, int] = {}
        self._threads = [
            threading.Thread(target=self._again_and_again, args=each, daemon=True)
            for each in ((self._look, _ASK_EVERY), (self._create, _CREATE_EVERY))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert self._complaint is None, self._complaint

    def assert_served(self) -> None:
        """Whatever was broken, nobody who asked the API noticed."""
        assert not [answer for answer in self.answers if not answer.is_good]
        assert max(answer.seconds for answer in self.answers) < patience(PROMPT)

    def assert_told_to_come_back(self, within: float = PROMPT) -> None:
        """Where he was not served the answer was 503 and said when to ask again; each came within so many seconds."""
        bad = [answer for answer in self.answers if not answer.is_good]
        assert {(answer.status, answer.retry_after) for answer in bad} <= {(503, "5")}
        assert max(answer.seconds for answer in self.answers) < patience(within)

    def _again_and_again(self, ask: Any, every: float) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._stop.wait(every):
                began = clock.ticks()
                try:
                    answer: requests.Response = ask(session)
                    status, retry_after = answer.status_code, answer.headers.get("Retry-After")
                except requests.RequestException as error:
                    status, retry_after = 0, repr(error)
                self.answers.append(Answer(began, clock.ticks() - began, status, retry_after))

    def _look(self, session: requests.Session) -> requests.Response:
        path = f"{self._url}/mailings/{self._mailing_id}/detail_statistics/"
        answer = session.get(path, params={"page_size": 1}, timeout=60)
        if answer.ok:
            figures: Json = answer.json()
            final = {state: int(figures[state]) for state in FINAL_STATES}
            if figures["audience"] != sum(figures[state] for state in MessageState):
                self._complaint = f"the ledger does not balance: {figures}"
            if any(final[state] < number for state, number in self._final.items()):
                self._complaint = f"fewer messages in a final state than before: {self._final}, {final}"
            self._final = final
        return answer

    def _create(self, session: requests.Session) -> requests.Response:
        starts_at = clock.now() + timedelta(days=1)
        body = {
            "text": "Tomorrow",
            "starts_at": starts_at.isoformat(),
            "ends_at": (starts_at + timedelta(days=1)).isoformat(),
        }
        return session.post(f"{self._url}/mailings/", json=body, timeout=60)


@dataclass(frozen=True)
class Landed:
    """messages: as the API shows them. received: by the provider. repeated: ids that came to it more than once."""

    messages: Mapping[int, Json]
    received: Mapping[int, Received]
    figures: Json

    @property
    def repeated(self) -> set[int]:
        return {message_id for message_id, one in self.received.items() if one.count > 1}

    def in_state(self, *states: MessageState) -> set[int]:
        return with_status(self.messages, *states)


class Flight:
    """A new mailing to so many new clients. No other one may be in flight: what the provider knows is forgotten."""

    def __init__(self, system: System, clients: int, *, timezone: str = "UTC", **mailing: Any) -> None:
        """timezone: of the clients. mailing: as in `System.mail`."""
        self.system, self.clients = system, clients
        tag = f"flight {next(_numbers)}"
        system.simulator.forget()
        system.fill(clients, tag=tag, timezone=timezone)
        self.mailing_id = system.mail(tags=[tag], **mailing)
        self.recovery = 0.0  # the longest, in seconds

    def user(self) -> User:
        return User(f"http://127.0.0.1:{self.system.env['API_PORT']}", self.mailing_id)

    def until_under_way(self, share: float = 0.2) -> None:
        self.system.until_sent(self.mailing_id, int(self.clients * share), within=patience(30))

    def recover(self, within: float = HEALTHY_WITHIN) -> None:
        """To be called when the fault has ended: soon the service is ready, and messages reach the provider, unless all
        of them have, as if nothing had happened."""
        ended, since = clock.now().timestamp(), clock.ticks()

        def goes_on() -> bool:
            summary = self.system.simulator.summary()
            return summary.accepted == self.clients or (summary.last_accepted_at or 0.0) > ended

        self.system.until(goes_on, "messages go out", patience(within))
        self.system.until(self.system.api.ready, "the API is ready", patience(within))
        self.recovery = max(self.recovery, clock.ticks() - since)

    def land(self, what: str, *, within: float = 60.0) -> Landed:
        """Waits for the end, and holds the two accounts against each other: nothing was lost, and what came to the
        provider again had an attempt before of which nobody knows whether it arrived."""
        messages = self.system.until_over(self.mailing_id, within=patience(within))
        assert len(messages) == self.clients
        landed = Landed(messages, self.system.received(self.mailing_id), self.system.figures(self.mailing_id))
        assert _changed_finals(self.system.database_url) == 0, "a message left its final state"
        more = {i: one.count for i, one in landed.received.items() if one.count > messages[i]["calls"]}
        assert not more, "came more often than the service counts"
        errors = landed.figures["errors"]
        lost_answers = sum(number for error, number in errors.items() if error in AMBIGUOUS_ERRORS)
        again = [one for one in landed.received.values() if one.after_ok]
        assert len(again) <= lost_answers, "came again though the answer had arrived and was written down"
        print(f"| {what} | lost 0 | repeated {len(landed.repeated)} | recovery {self.recovery:.1f} s |", errors)
        return landed


def watch_final_states(database_url: str) -> None:
    """From now on the database counts every message that leaves a final state. Needs the schema."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"""
            create table changed_finals (message_id bigint, before message_state, after message_state);
            grant all on changed_finals to public;
            create function change_of_final() returns trigger language plpgsql as $$ begin
                insert into changed_finals values (old.id, old.status, new.status);
                return null;
            end $$;
            create trigger change_of_final after update on messages for each row
                when (old.status in ({_FINAL}) and new.* is distinct from old.*) execute function change_of_final();
        """)


def _changed_finals(database_url: str) -> int:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select from changed_finals")
        return cursor.rowcount


def steady(per_second: float, calls: int) -> Faults:
    """No faults: answers so late that so many calls at a time make so many messages per second."""
    return Faults(latency_ms=1000 * calls / per_second)


@contextmanager
def lasting(seconds: float) -> Iterator[None]:
    """A block that takes so long: a fault has a length and not an end to be waited for."""
    end = time.monotonic() + seconds
    yield
    time.sleep(max(0.0, end - time.monotonic()))
