"""The users of a soak: they create mailings, of several kinds, and pause some."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from notification_client import ApiClient, ApiError
from shared.domain.message import OPEN_STATES
from tests.e2e.system import System
from tests.faults.catalogue import POISON

CLIENTS, MANY = 80, 1_000
MAIL_EVERY = 0.5
MOST_OPEN = 6_000
"""Messages that are not over yet, with which nobody creates a mailing: twenty seconds of DISPATCH_RATE. So all that is
asked of the service can be done, on a machine that is busy as well, and what expires ten minutes later was passed
over."""

FEW, ALL = "few", "many"
"""Tags of the clients that most mailings go to, and of those that a large one goes to."""

PERIOD = 50
"""Mailings after which there is each kind again."""

LASTS_POISONED = 20.0


@dataclass(frozen=True)
class Kind:
    """Of a mailing. values: as `System.mail` has them."""

    audience: int = CLIENTS
    values: Mapping[str, Any] = field(default_factory=dict)


USUAL, URGENT = Kind(), Kind(values={"priority": "urgent"})
LARGE = Kind(MANY, {"priority": "bulk", "tags": [ALL]})
POISONED = Kind(values={"text": f"This is {POISON}.", "lasts": LASTS_POISONED})
PAUSED = Kind()

_KINDS = {0: LARGE, 20: POISONED, 30: PAUSED} | dict.fromkeys(range(5, PERIOD, 10), URGENT)
"""What is not usual in a period."""


class Users:
    """They create mailings, at two APIs in turn, one of which is not always there."""

    def __init__(self, system: System, veteran: ApiClient) -> None:
        self._system, self._apis = system, (veteran, system.api)
        self._mailings: dict[int, Kind] = {}
        self._paused: set[int] = set()
        self._errors: list[ApiError] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="users", daemon=True)

    def __enter__(self) -> "Users":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Mapping[int, Kind]:
        """The mailings that the API has promised."""
        self._stop.set()
        self._thread.join(60)
        unexpected = [error for error in self._errors if error.status not in (0, 503)]
        assert not unexpected, unexpected
        return self._mailings

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(MAIL_EVERY):
            if not self._has_room():
                continue
            number += 1
            self._act(self._create, number)
            if number % 10 == 0:
                for mailing_id in list(self._paused):
                    self._act(self._resume, mailing_id)
        while self._paused:
            for mailing_id in list(self._paused):
                self._act(self._resume, mailing_id)
            time.sleep(MAIL_EVERY)

    def _has_room(self) -> bool:
        """Whether no more is open than can be sent; True where the API cannot tell just now."""
        try:
            figures = self._apis[0].statistics(page_size=1)
        except ApiError as error:
            self._errors.append(error)
            return True
        return bool(sum(figures[state] for state in OPEN_STATES) < MOST_OPEN)

    def _act(self, act: Callable[[int], None], number: int) -> None:
        try:
            act(number)
        except ApiError as error:
            self._errors.append(error)

    def _create(self, number: int) -> None:
        api, kind = self._apis[number % 2], _KINDS.get(number % PERIOD, USUAL)
        mailing_id = self._system.mail(api=api, **{"tags": [FEW], **kind.values})
        self._mailings[mailing_id] = kind
        if kind is PAUSED:
            self._paused.add(mailing_id)  # whatever becomes of the request
            api.pause(mailing_id)

    def _resume(self, mailing_id: int) -> None:
        if self._system.api.mailing(mailing_id)["state"] == "paused":
            self._system.api.resume(mailing_id)
        self._paused.discard(mailing_id)
