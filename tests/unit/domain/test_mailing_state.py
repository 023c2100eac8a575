"""The state of a mailing follows from its facts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.mailing import ENDED, MailingState, mailing_state, paused_because

START = datetime(2026, 1, 30, 12, tzinfo=UTC)
END = START + timedelta(hours=8)
TICK = timedelta(microseconds=1)
DRAFT = {"draft": True, "paused_at": START, "closed_at": START}


@dataclass
class _Mailing:
    starts_at: datetime | None = START
    ends_at: datetime | None = END
    paused_at: datetime | None = None
    cancelled_at: datetime | None = None
    finished_at: datetime | None = None
    closed_at: datetime | None = None
    halted_at: datetime | None = None
    draft: bool = False


@pytest.mark.parametrize(
    ("facts", "now", "state"),
    [
        ({}, START - TICK, "scheduled"),
        ({}, START, "running"),
        ({}, END - TICK, "running"),
        ({}, END, "finished"),
        ({"finished_at": START}, START + TICK, "finished"),
        ({"paused_at": START}, START - TICK, "paused"),
        ({"paused_at": START}, START, "paused"),
        ({"paused_at": START}, END, "finished"),
        ({"cancelled_at": START}, START - TICK, "cancelled"),
        ({"cancelled_at": START}, START, "cancelled"),
        ({"cancelled_at": START, "paused_at": START}, START, "cancelled"),
        ({"cancelled_at": START, "finished_at": START}, END, "cancelled"),
        ({"paused_at": START, "finished_at": START}, START, "finished"),
        (DRAFT, START - TICK, "draft"),
        (DRAFT, START, "draft"),
        (DRAFT, END, "draft"),  # its end can still be moved
        (DRAFT | {"starts_at": None, "ends_at": None}, START, "draft"),
        (DRAFT | {"ends_at": None, "cancelled_at": START}, START, "cancelled"),
        (DRAFT | {"finished_at": START}, START, "finished"),
    ],
)
def test_the_state_at_a_moment(facts: dict[str, Any], now: datetime, state: str) -> None:
    assert mailing_state(_Mailing(**facts), now) == state


@pytest.mark.parametrize(
    ("facts", "now", "reason"),
    [
        ({}, START, None),
        ({"paused_at": START}, START, "person"),
        ({"paused_at": START, "halted_at": START}, START, "halted"),
        ({"halted_at": START}, START + TICK, None),  # somebody has resumed it
        ({"paused_at": START + TICK, "halted_at": START}, START + TICK, "person"),  # and paused it again
        ({"paused_at": START, "halted_at": START}, END, None),
        ({"paused_at": START, "halted_at": START, "cancelled_at": START}, START, None),
    ],
)
def test_who_paused_it(facts: dict[str, Any], now: datetime, reason: str | None) -> None:
    assert paused_because(_Mailing(**facts), now) == reason


moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC))
perhaps = st.none() | moments


@given(st.builds(_Mailing, moments, moments, perhaps, perhaps, perhaps), moments, moments)
def test_what_has_ended_stays_ended(mailing: _Mailing, one: datetime, other: datetime) -> None:
    before, after = sorted((one, other))
    if (state := mailing_state(mailing, before)) in ENDED:
        assert mailing_state(mailing, after) == state


@given(st.builds(_Mailing, moments, moments, perhaps, perhaps, perhaps), moments)
def test_nothing_runs_outside_its_time(mailing: _Mailing, now: datetime) -> None:
    if mailing_state(mailing, now) is MailingState.RUNNING:
        assert mailing.starts_at is not None
        assert mailing.ends_at is not None
        assert mailing.starts_at <= now < mailing.ends_at
