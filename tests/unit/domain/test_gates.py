"""The gates: what each stops, in which order, and that rule and SQL speak of the same things."""

import re
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

import pytest

from shared.domain.gates.gate import Case, Skip, Stop, Wait
from shared.domain.gates.order import GATES, OF_SQL, OF_TEXTS, PASSES, READS, first_stop
from shared.domain.reason import Reason
from shared.domain.text.unmade import Unmade, missing

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENING = datetime(2026, 3, 2, 18, tzinfo=UTC)


class Mailing(NamedTuple):
    window_from: time | None = None
    window_until: time | None = None
    now: datetime = NOON


class Message(NamedTuple):
    timezone: str = "UTC"
    is_suppressed: bool = False


CLOSED = Mailing(time(18), time(20))
OPEN = Mailing(time(9), time(20))


@pytest.mark.parametrize(
    ("mailing", "message", "text", "stop"),
    [
        (Mailing(), Message(), "Hello", None),
        (OPEN, Message(), "Hello", None),
        (OPEN, Message("Asia/Vladivostok"), "Hello", Wait(datetime(2026, 3, 2, 23, tzinfo=UTC))),
        (CLOSED, Message(), "Hello", Wait(EVENING)),
        (CLOSED, Message(is_suppressed=True), missing("name"), Wait(EVENING)),  # by then all may be different
        (OPEN, Message(is_suppressed=True), missing("name"), Skip(Reason.OPTED_OUT)),
        (Mailing(), Message(), missing("name"), Skip(Reason.MISSING_VALUE)),
        (Mailing(), Message(), Unmade(Reason.TOO_LONG, "…"), Skip(Reason.TOO_LONG)),
        (Mailing(), Message(), "", Skip(Reason.MISSING_VALUE)),
        (Mailing(), Message(), " \u200b\u2060\n\u3164", Skip(Reason.MISSING_VALUE)),
        (Mailing(), Message(), " " * 2001, Skip(Reason.MISSING_VALUE)),
        (Mailing(), Message(), "x" * 2000, None),
        (Mailing(), Message(), "x" * 2001, Skip(Reason.TOO_LONG)),
    ],
)
def test_the_first_gate_that_stops_a_message_decides(
    mailing: Mailing, message: Message, text: str | Unmade, stop: Stop | None
) -> None:
    found = first_stop(Case(mailing, message, text))
    assert found == stop


def test_what_sql_can_tell_comes_before_a_text_is_made() -> None:
    assert OF_SQL + OF_TEXTS == GATES


def test_rule_and_sql_speak_of_the_same_things() -> None:
    """Where there is a condition the rule reads something, and what is not asked of a message the rule cannot read."""
    for gate in GATES:
        assert bool(gate.reads) == bool(gate.passes)
        for name in gate.reads:
            assert re.search(rf" as {name}\b", READS)
        if gate.passes:
            assert gate.passes in PASSES
    known: Any = type("Known", (), {name: None for gate in GATES for name in gate.reads})()
    for gate in GATES:
        gate.stop(Case(Mailing(), known, "Hello"))


def test_each_reason_is_one_that_can_be_kept_with_a_message() -> None:
    assert [gate.reason for gate in GATES if gate.reason] == list(Reason)
