"""What stands in the way of a mailing, and what is warned of: a row for each, and for what is nearly one."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api_service.mailings.facts import Facts, Origins, Overlap, Personal, Rate, RateFrom
from api_service.mailings.finding import Blocker, Caution
from api_service.mailings.findings import BLOCKERS, WARNINGS, blockers, warnings
from api_service.mailings.forecast import Opening
from api_service.mailings.preflight_store import wording
from shared.domain.reason import Reason
from shared.domain.survey import Estimate, Survey

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOSCOW, OMSK = "Europe/Moscow", "Asia/Omsk"

COUNTED = Survey(100, {}, {"912": 100}, {MOSCOW: 60, OMSK: 40}, {"": 100})
FINE = Facts(
    now=NOW,
    starts_at=NOW,
    ends_at=NOW + 9 * HOUR,
    wording=wording("Hello"),
    survey=COUNTED,
    openings=[Opening(MOSCOW, 60, NOW), Opening(OMSK, 40, NOW)],
    rate=Rate(10.0, RateFrom.LIMIT),
    done_at=NOW + timedelta(seconds=10),
    dispatchers=1,
    overlap=Overlap(Estimate(0), ()),
)
NONE_MATCH = Survey(0, {}, {}, {}, {})
ALL_OUT = Survey(3, {Reason.OPTED_OUT: 3}, {}, {}, {})
MOVED = Origins(MOSCOW, Estimate(60), [(OMSK, Estimate(5))], Estimate(0), ())
MADE = Personal(100, ["name"], [], {}, {1: Estimate(100)}, Estimate(100))
LACKS = {Reason.MISSING_VALUE: Estimate(100)}
NEAR_END = NOW + 8 * HOUR + timedelta(minutes=1)

TABLE: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("all is well", {}, []),
    ("the end is now", {"ends_at": NOW}, [Blocker.END_PASSED]),
    ("the end was before", {"ends_at": NOW - HOUR, "done_at": None}, [Blocker.END_PASSED]),
    ("a name is unknown", {"unknown": ["There is no segment 5."], "survey": None, "openings": [], "done_at": None},
     [Blocker.UNKNOWN_IN_FILTER]),
    ("nobody matches", {"survey": NONE_MATCH, "openings": []}, [Blocker.NOBODY]),
    ("all who match are suppressed", {"survey": ALL_OUT, "openings": []}, [Blocker.ALL_SKIPPED]),
    ("some who match are suppressed", {"survey": replace(COUNTED, skipped={Reason.OPTED_OUT: 3})}, []),
    ("no window opens", {"openings": [Opening(MOSCOW, 60, None), Opening(OMSK, 40, None)], "has_window": True},
     [Blocker.NO_ZONE_OPENS]),
    ("one window does not open", {"openings": [Opening(MOSCOW, 60, NOW), Opening(OMSK, 40, None)]},
     [Caution.ZONES_CLOSED]),
    ("one opens in the last hour", {"openings": [Opening(MOSCOW, 60, NOW), Opening(OMSK, 40, NEAR_END)]},
     [Caution.ZONES_LATE]),
    ("one opens early enough", {"openings": [Opening(MOSCOW, 60, NOW), Opening(OMSK, 40, NOW + 7 * HOUR)]}, []),
    ("one opens with too many people", {"openings": [Opening(MOSCOW, 6, NOW), Opening(OMSK, 72_001, NOW + 7 * HOUR)]},
     [Caution.ZONES_LATE]),
    ("it ends within the hour, and all are open", {"ends_at": NOW + HOUR / 2}, []),
    ("it was not counted", {"survey": None, "openings": [], "done_at": None}, [Caution.UNCOUNTED]),
    ("a dash makes it two parts", {"wording": wording("a" * 80 + "–")}, [Caution.UCS2]),
    ("a dash in a short text costs nothing", {"wording": wording("a – b")}, []),
    ("a face makes it two parts", {"wording": wording("a" * 80 + "😀")}, [Caution.UCS2]),
    ("it is written in Russian", {"wording": wording("Мы открылись — приходите! " * 5)}, []),
    ("ten parts", {"wording": wording("a" * 1530)}, []),
    ("eleven parts", {"wording": wording("a" * 1531)}, [Caution.MANY_PARTS]),
    ("nobody sends", {"dispatchers": 0}, [Caution.NO_DISPATCHER]),
    ("it is done after the end", {"done_at": NOW + 10 * HOUR}, [Caution.MISSES_END]),
    ("it is not done in years", {"done_at": None}, [Caution.MISSES_END]),
    ("it is done at the end", {"done_at": NOW + 9 * HOUR}, []),
    ("nobody knows how fast it goes", {"rate": None, "done_at": None}, []),
    ("all texts can be made", {"personal": MADE}, []),
    ("no text can be made", {"personal": replace(MADE, unmade=LACKS, by_parts={})}, [Blocker.ALL_SKIPPED]),
    ("no text of those that were tried can be made", {
        "personal": replace(MADE, looked_at=99, unmade={Reason.MISSING_VALUE: Estimate(99)}, by_parts={})},
     [Caution.MISSING_VALUE]),
    ("some texts lack a value", {"personal": replace(MADE, unmade={Reason.MISSING_VALUE: Estimate(1)})},
     [Caution.MISSING_VALUE]),
    ("some texts are too long", {"personal": replace(MADE, unmade={Reason.TOO_LONG: Estimate(2)})},
     [Caution.TOO_LONG]),
    ("nobody has a value", {"personal": replace(MADE, unknown=["naem"])}, [Caution.UNKNOWN_NAME]),
    ("a dash in the template costs", {"personal": replace(MADE, better=Estimate(50)),
                                      "wording": wording("Hi {{ name }} –")}, [Caution.UCS2]),
    ("some get another one", {"overlap": Overlap(Estimate(3), [(7, Estimate(2)), (9, Estimate(1))])},
     [Caution.OVERLAP]),
    ("who gets another one was not found in time", {"overlap": None}, []),
    ("some phones are from elsewhere", {"origins": MOVED, "has_window": True}, [Caution.OTHER_ZONE]),
    ("without a window it does not matter where", {"origins": MOVED}, []),
    ("one phone of a hundred is from elsewhere", {"has_window": True, "origins": replace(
        MOVED, people=Estimate(100), suggested=[(OMSK, Estimate(1))])}, []),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_found(facts: dict[str, Any], expected: list[Any]) -> None:
    found = replace(FINE, **facts)
    assert [one.type for one in (*blockers(found), *warnings(found))] == expected
    assert all(one.message.endswith((".", "…")) for one in (*blockers(found), *warnings(found)))


def test_each_has_a_rule_and_a_row() -> None:
    assert list(BLOCKERS) == list(Blocker)
    assert list(WARNINGS) == list(Caution)
    assert {one for *_, expected in TABLE for one in expected} == {*Blocker, *Caution}


def test_each_is_explained_to_whoever_uses_it() -> None:
    page = (Path(__file__).parents[3] / "docs/preflight.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [*Blocker, *Caution]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"survey": ALL_OUT, "openings": []},
         "Everybody who matches is left out: 3 clients because their phone is suppressed: it must not be written to."),
        ({"wording": wording("“Hi”, " + "a" * 70 + "😀")},
         "It takes 2 parts (UCS-2), and 1 part (GSM-7) without characters that are not in the alphabet of SMS:"
         ' LEFT DOUBLE QUOTATION MARK at 1 (write "), RIGHT DOUBLE QUOTATION MARK at 4 (write "), GRINNING FACE at 77'
         " (leave it out)."),
        ({"openings": [Opening(MOSCOW, 60, NOW), Opening(OMSK, 1, None)]},
         "1 client get nothing: their window opens only after the end, in Asia/Omsk."),
        ({"done_at": NOW + 10 * HOUR},
         "At 10 messages a second it would be done at 2030-01-15T22:00+00:00, after its end at"
         " 2030-01-15T21:00+00:00."),
        ({"overlap": Overlap(Estimate(3_000, 98), [(7, Estimate(2_000, 98)), (9, Estimate(1_000, 98))])},
         "About 3,000 clients are still to get another mailing: 7, 9."),
        ({"personal": replace(MADE, unmade={Reason.MISSING_VALUE: Estimate(30_000, 98)})},
         "About 30,000 clients would get nothing, because their text lacks a value, or there would be nothing to see"
         " in it."),
        ({"personal": replace(MADE, unknown=["naem", "ctiy"])},
         "Of the 100 who were looked at nobody has a value of “naem”, “ctiy”."),
        ({"personal": replace(MADE, better=Estimate(50)), "wording": wording("Hi {{ name }} –")},
         "It takes 100 SMS in all, and 50 without characters that are not in the alphabet of SMS:"
         " EN DASH at 15 (write -)."),
        ({"origins": MOVED, "has_window": True},
         "5 clients have the default time zone, Europe/Moscow, and a phone that was issued elsewhere, most in"
         " Asia/Omsk (5)."),
    ],
)  # fmt: skip
def test_the_sentence_says_what_of_this_mailing(facts: dict[str, Any], message: str) -> None:
    found = replace(FINE, **facts)
    assert [one.message for one in (*blockers(found), *warnings(found))] == [message]
