"""Which request is hit by which fault, and what is no fault or outage at all."""

import json
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.simulator.faults import ACCEPTING, CONFIRMING, Fault, Faults, FaultsError, chances
from sandbox.simulator.outage import Mode, Outage, OutageError

HALF = {Fault.HANG: 0.25, Fault.RESET: 0.25}
ALWAYS = {Fault.HANG: 1.0}


@pytest.mark.parametrize(
    ("faults", "chance", "message_id", "hits", "fate"),
    [
        (Faults(), 0.0, 1, 0, Fault.NONE),
        (Faults(HALF), 0.0, 1, 0, Fault.HANG),
        (Faults(HALF), 0.2499, 1, 0, Fault.HANG),
        (Faults(HALF), 0.25, 1, 0, Fault.RESET),
        (Faults(HALF), 0.4999, 1, 0, Fault.RESET),
        (Faults(HALF), 0.5, 1, 0, Fault.NONE),
        (Faults(HALF), 0.9999, 1, 0, Fault.NONE),
        (Faults({Fault.HANG: 0.0}), 0.0, 1, 0, Fault.NONE),
        (Faults(ALWAYS), 0.9999, 1, 10**6, Fault.HANG),
        (Faults(ALWAYS, max_faults_per_id=2), 0.5, 1, 1, Fault.HANG),
        (Faults(ALWAYS, max_faults_per_id=2), 0.5, 1, 2, Fault.NONE),
        (Faults(ALWAYS, max_faults_per_id=0), 0.5, 1, 0, Fault.NONE),
        (Faults(refuse_ids_modulo=10), 0.5, 20, 0, Fault.BAD_REQUEST),
        (Faults(refuse_ids_modulo=10), 0.5, 21, 0, Fault.NONE),
        (Faults(ALWAYS, refuse_ids_modulo=10, max_faults_per_id=1), 0.5, 20, 9, Fault.BAD_REQUEST),
        (Faults(poison="bad"), 0.5, 20, 9, Fault.NONE),
        (Faults(ALWAYS, refuse_ids_modulo=10, poison="good", max_faults_per_id=1), 0.5, 20, 9, Fault.POISON),
        (Faults(ALWAYS, refuse_ids_modulo=10, poison="good", status=404), 0.5, 20, 9, Fault.STATUS),
    ],
)
def test_fate(faults: Faults, chance: float, message_id: int, hits: int, fate: Fault) -> None:
    assert faults.choose(chance, message_id, hits, "all is good") is fate


@pytest.mark.parametrize(
    ("faults", "chance", "seconds"),
    [(Faults(), 0.5, 0), (Faults(latency_ms=200), 0.9, 0.2), (Faults(latency_ms=100, jitter_ms=50), 0.5, 0.125)],
)
def test_delay(faults: Faults, chance: float, seconds: float) -> None:
    assert faults.delay(chance) == pytest.approx(seconds)


def test_only_an_accepted_message_is_confirmed() -> None:
    assert CONFIRMING < ACCEPTING


@given(st.integers(), st.integers(min_value=1), st.integers(min_value=1))
def test_chances_depend_on_nothing_but_seed_id_and_attempt(seed: int, message_id: int, attempt: int) -> None:
    which, when = chances(seed, message_id, attempt)
    assert 0 <= which < 1
    assert 0 <= when < 1
    assert chances(seed, message_id, attempt) == (which, when)
    others = [(seed + 1, message_id, attempt), (seed, message_id + 1, attempt), (seed, message_id, attempt + 1)]
    assert all(chances(*other) != (which, when) for other in others)


def test_rates_are_kept() -> None:
    faults = Faults({Fault.HANG: 0.1, Fault.RESET: 0.3})
    fates = [faults.choose(chances(1, message_id, 1)[0], message_id, 0) for message_id in range(1, 20_001)]
    assert mean(fate is Fault.HANG for fate in fates) == pytest.approx(0.1, abs=0.01)
    assert mean(fate is Fault.RESET for fate in fates) == pytest.approx(0.3, abs=0.01)


def test_faults_survive_json() -> None:
    faults = Faults(
        HALF,
        latency_ms=1.5,
        jitter_ms=2,
        retry_after=3,
        max_faults_per_id=4,
        refuse_ids_modulo=5,
        takes_per_second=6,
    )
    assert Faults.from_json(json.loads(json.dumps(faults.to_json()))) == faults
    assert Faults.from_json({}) == Faults()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([], "object"),
        ({"latency": 5}, "latency"),
        ({"rates": [0.5]}, "rates"),
        ({"rates": {"none": 0.5}}, "none"),
        ({"rates": {"earthquake": 0.5}}, "earthquake"),
        ({"rates": {"hang": -0.1}}, "hang"),
        ({"rates": {"hang": 1.1}}, "hang"),
        ({"rates": {"hang": "0.1"}}, "hang"),
        ({"rates": {"hang": True}}, "hang"),
        ({"rates": {"hang": float("nan")}}, "hang"),
        ({"rates": {"hang": 0.6, "reset": 0.6}}, "add up"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": float("inf")}, "latency_ms"),
        ({"jitter_ms": None}, "jitter_ms"),
        ({"retry_after": None}, "retry_after"),
        ({"retry_after": 0.5}, "retry_after"),
        ({"max_faults_per_id": -1}, "max_faults_per_id"),
        ({"max_faults_per_id": True}, "max_faults_per_id"),
        ({"refuse_ids_modulo": 0}, "refuse_ids_modulo"),
        ({"takes_per_second": 0}, "takes_per_second"),
    ],
)
def test_what_makes_no_sense_is_named(values: object, named: str) -> None:
    with pytest.raises(FaultsError, match=named):
        Faults.from_json(values)


def test_an_outage_on_the_command_line() -> None:
    outage = Outage.parse("503:10:2.5")
    assert (outage.mode, outage.after, outage.seconds) == (Mode.UNAVAILABLE, 10, 2.5)


@pytest.mark.parametrize("text", ["", "refuse", "refuse:1", "refuse:1:0", "sleep:1:2", "refuse:-1:2", "refuse:1:1e3"])
def test_what_is_no_outage_on_the_command_line(text: str) -> None:
    with pytest.raises(OutageError):
        Outage.parse(text)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (None, "object"),
        ({}, "mode"),
        ({"mode": "sleep"}, "mode"),
        ({"mode": ["hang"]}, "mode"),
        ({"mode": "hang", "seconds": 0}, "seconds"),
        ({"mode": "hang", "seconds": "5"}, "seconds"),
        ({"mode": "hang", "seconds": float("nan")}, "seconds"),
        ({"mode": "hang", "after": -1}, "after"),
        ({"mode": "hang", "after": None}, "after"),
        ({"mode": "hang", "until": 5}, "until"),
    ],
)
def test_what_is_no_outage_in_json(values: object, named: str) -> None:
    with pytest.raises(OutageError, match=named):
        Outage.from_json(values)
