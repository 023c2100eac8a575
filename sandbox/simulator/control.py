"""A client of the control API, for tests, the demo and benchmarks."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from sandbox.simulator.faults import Faults
from sandbox.simulator.outage import Mode

_TIMEOUT = (5, 60)  # seconds to connect, and between two parts of the answer
READY = r"provider simulator: (?P<url>\S+) \(control (?P<control_url>\S+)\), seed (?P<seed>\d+)\s*"
"""The line that a simulator prints when it is ready."""


class SimulatorError(Exception):
    """The simulator cannot be reached, or says why it does not do what was asked."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts since the start, or since `forget`."""

    seed: int
    requests: int  # all of them
    received: int  # ids that came in requests that keep the contract
    accepted: int  # ids that were accepted
    doubled: int  # ids that were accepted more than once, as they are after an answer that got lost
    overlapping: int  # ids of which two requests were open at the same time: always a defect
    resent: int  # ids that came again although the provider had answered with code 0
    faults: Mapping[str, int]  # requests by fault, `none` among them; `outage`: those in an outage
    broken: Mapping[str, int]  # requests that break the contract, by the status they got
    outage: Mode | None  # the one that is on
    last_received_at: float | None  # Unix time, in seconds
    last_accepted_at: float | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """How often and when one id was accepted; Unix times in seconds."""

    count: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Received:
    """How often and when one id came in. most_open: its requests open at once. after_ok: those after a clean answer.
    phone, sender, validity: of the last one, as its dialect says them."""

    count: int
    first_at: float
    last_at: float
    most_open: int
    after_ok: int
    phone: int
    sender: str
    validity: str


class Simulator:
    """A running simulator. `url` is PROVIDER_URL for a dispatcher. Every method raises SimulatorError."""

    def __init__(self, url: str, control_url: str) -> None:
        self.url = url
        self.control_url = control_url
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for this machine's own ports

    @classmethod
    def announced(cls, line: str) -> "Simulator":
        """From the line that READY describes."""
        match = re.fullmatch(READY, line)
        if not match:
            raise SimulatorError(f"not the line of a simulator that is ready: {line!r}")
        return cls(match["url"], match["control_url"])

    def health(self) -> None:
        """Returns when it answers."""
        self._call("GET", "health")

    def faults(self) -> Faults:
        return Faults.from_json(self._call("GET", "faults"))

    def set_faults(self, faults: Faults) -> None:
        """Replaces all of them."""
        self._call("PUT", "faults", faults.to_json())

    def set_token(self, token: str) -> None:
        """What it asks for from now on; requests with another one get 401."""
        self._call("PUT", "token", {"token": token})

    def outage(self, mode: Mode | str, seconds: float | None = None, after: float = 0) -> None:
        """An outage of this length, or until `end_outage`; where it begins at once, it is on when this returns."""
        self._call("POST", "outage", {"mode": mode, "seconds": seconds, "after": after})

    def end_outage(self) -> None:
        """Ends the outage that is on, and forgets those that were to come."""
        self._call("DELETE", "outage")

    def summary(self) -> Summary:
        fields = self._call("GET", "summary")
        return Summary(**{**fields, "outage": fields["outage"] and Mode(fields["outage"])})

    def accepted(self) -> dict[int, Accepted]:
        """Every accepted id."""
        return {fields.pop("id"): Accepted(**fields) for fields in self._lines("accepted")}

    def received(self) -> dict[int, Received]:
        """Every id that came in, accepted or not."""
        return {fields.pop("id"): Received(**fields) for fields in self._lines("received")}

    def forget(self) -> None:
        """Forgets all ids and counts."""
        self._call("DELETE", "accepted")

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, name: str, body: object = None) -> dict[str, Any]:
        with self._response(method, name, body) as response:
            fields: dict[str, Any] = response.json()
            return fields

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            with self._response("GET", name) as response:
                for line in response.iter_lines(chunk_size=65536):
                    yield json.loads(line)
        except requests.RequestException as error:
            raise SimulatorError(f"the simulator's answer broke off: {error}") from error

    def _response(self, method: str, name: str, body: object = None) -> requests.Response:
        try:
            response = self._session.request(
                method, f"{self.control_url}/control/{name}", json=body, timeout=_TIMEOUT, stream=True
            )
            if not response.ok:
                raise SimulatorError(response.json()["message"])
        except requests.RequestException as error:
            raise SimulatorError(f"the simulator does not answer: {error}") from error
        return response
