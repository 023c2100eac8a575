"""What may be done with a mailing in which state."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api_service.mailings import rules
from api_service.mailings.rules import Action, Times
from shared.database.models import Mailing
from shared.domain.filter import Filter
from shared.domain.mailing import ENDED, MailingState, mailing_state
from shared.domain.priority import Priority
from shared.domain.window import Window

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL = {"text", "starts_at", "ends_at", "filter", "send_window", "priority"}
FROZEN = {"text", "starts_at", "filter"}


def mailing(**facts: Any) -> Mailing:
    times = {"starts_at": NOW - HOUR, "ends_at": NOW + HOUR}
    return Mailing(
        **{
            "text": "Hello",
            "revision": 1,
            "filter": Filter(),
            "priority": Priority.NORMAL,
            **times,
            **facts,
        }
    )


SCHEDULED = {"starts_at": NOW + HOUR, "ends_at": NOW + 2 * HOUR}
OVER = {"starts_at": NOW - 2 * HOUR, "ends_at": NOW}

DRAFT = {"draft": True, "paused_at": NOW, "closed_at": NOW}

CASES = [
    # facts, state, what is frozen, is it possible to: pause, resume, cancel
    (DRAFT | SCHEDULED, "draft", set(), False, False, True),
    (DRAFT | {"starts_at": None, "ends_at": None}, "draft", set(), False, False, True),
    (DRAFT, "draft", set(), False, False, True),
    (DRAFT | OVER, "draft", set(), False, False, True),
    (DRAFT | {"cancelled_at": NOW}, "cancelled", ALL, False, False, True),
    (SCHEDULED, "scheduled", set(), True, True, True),
    (SCHEDULED | {"paused_at": NOW}, "paused", set(), True, True, True),
    (SCHEDULED | {"audience_limit": 0}, "scheduled", FROZEN, True, True, True),
    (SCHEDULED | {"cancelled_at": NOW}, "cancelled", ALL, False, False, True),
    ({}, "running", FROZEN, True, True, True),
    ({"starts_at": NOW}, "running", FROZEN, True, True, True),
    ({"paused_at": NOW}, "paused", FROZEN, True, True, True),
    ({"cancelled_at": NOW}, "cancelled", ALL, False, False, True),
    ({"finished_at": NOW}, "finished", ALL, False, False, False),
    (OVER, "finished", ALL, False, False, False),
    (OVER | {"paused_at": NOW}, "finished", ALL, False, False, False),
    (OVER | {"cancelled_at": NOW}, "cancelled", ALL, False, False, True),
]


@pytest.mark.parametrize(("facts", "state", "frozen", "pause", "resume", "cancel"), CASES)
def test_what_each_state_allows(
    facts: dict[str, Any], state: str, frozen: set[str], pause: bool, resume: bool, cancel: bool
) -> None:
    subject = mailing(**facts)
    assert mailing_state(subject, NOW) == state
    assert rules.frozen(subject, ALL, FROZEN, NOW) == frozen
    possible = {action: rules.is_possible(action, MailingState(state)) for action in Action}
    start = state not in ("finished", "cancelled")
    assert possible == {Action.PAUSE: pause, Action.RESUME: resume, Action.START: start, Action.CANCEL: cancel}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("facts", [case[0] for case in CASES])
def test_an_action_that_was_possible_is_harmless_when_repeated(facts: dict[str, Any], action: Action) -> None:
    subject = mailing(**facts)
    if not rules.is_possible(action, mailing_state(subject, NOW)):
        return
    rules.perform(action, subject, NOW)
    once = (subject.paused_at, subject.cancelled_at, subject.draft)
    state = mailing_state(subject, NOW)
    if action is Action.START and state in ENDED:
        return  # a draft whose end has passed, which is not started
    assert rules.is_possible(action, state)
    rules.perform(action, subject, NOW + timedelta(minutes=1))
    assert (subject.paused_at, subject.cancelled_at, subject.draft) == once


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({}, set()),
        ({"text": "Hello", "starts_at": NOW - HOUR, "filter": Filter(), "send_window": None}, set()),
        ({"text": "Hello!"}, {"text"}),
        ({"starts_at": NOW}, {"starts_at"}),
        ({"filter": Filter(tags=("vip",)), "text": "Hello"}, {"filter"}),
        ({"send_window": Window(NOW.time(), (NOW + HOUR).time())}, {"send_window"}),
        ({"priority": Priority.BULK}, {"priority"}),
    ],
)
def test_only_another_value_is_a_change(values: dict[str, Any], changed: set[str]) -> None:
    assert rules.changed(mailing(), values) == changed


@pytest.mark.parametrize(
    ("starts", "ends", "given", "at_fault"),
    [
        (1, 2, {"starts_at", "ends_at"}, None),
        (-2, 1, {"ends_at"}, None),
        (1, 1, {"starts_at", "ends_at"}, "ends_at"),
        (2, 1, {"ends_at"}, "ends_at"),
        (2, 1, {"starts_at"}, "starts_at"),
        (-2, -1, {"starts_at", "ends_at"}, "ends_at"),
        (-2, 0, {"ends_at"}, "ends_at"),
    ],
)
def test_times_that_make_no_sense(starts: int, ends: int, given: set[str], at_fault: str | None) -> None:
    faults = Times(NOW + starts * HOUR, NOW + ends * HOUR, draft=False).faults(given, NOW)
    assert set(faults) == ({at_fault} if at_fault else set())
    of_draft = Times(NOW + starts * HOUR, NOW + ends * HOUR, draft=True).faults(given, NOW)
    assert of_draft == (faults if ends <= starts else {})


@pytest.mark.parametrize("open_", [{"starts_at"}, {"ends_at"}, {"starts_at", "ends_at"}])
def test_only_a_draft_leaves_a_time_open(open_: set[str]) -> None:
    times = {"starts_at": NOW, "ends_at": NOW + HOUR} | dict.fromkeys(open_)
    assert Times(**times, draft=False).faults({"text"}, NOW).keys() == open_
    assert Times(**times, draft=True).faults({"text"}, NOW) == {}
    assert rules.blockers(mailing(**times, draft=True), NOW).keys() == open_


def test_what_stands_in_the_way_of_a_start() -> None:
    assert rules.blockers(mailing(draft=True), NOW) == {}
    assert rules.blockers(mailing(**OVER, draft=True), NOW).keys() == {"ends_at"}
