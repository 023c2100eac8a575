"""What somebody is sent of a mailing, before it is: whom it is for, whom not, and who gets nothing."""

from typing import Any

import pytest

from tests.support.api import HOUR, Api, from_now, mailing, running

pytest_plugins = ("tests.support.api_fixture",)

HELLO = "Hello {{ name }}"


def client(api: Api, phone: str = "79123456789", **values: Any) -> int:
    return int(api.make("/clients/", {"phone": phone, **values})["id"])


def shown(api: Api, client_id: int, **values: Any) -> dict[str, Any]:
    mailing_id = api.make("/mailings/", mailing(**values))["id"]
    answer: dict[str, Any] = api.get(f"/mailings/{mailing_id}/preview/?client_id={client_id}")
    return answer


def test_it_is_what_they_would_be_sent_now(api: Api) -> None:
    anna = client(api, attributes={"name": "Anna"})
    assert shown(api, anna, text=HELLO) == {
        "mailing_id": 1,
        "client_id": anna,
        "text": "Hello Anna",
        "is_fixed": False,
        "skipped_because": None,
        "explanation": None,
        "in_audience": True,
        "unmatched": [],
    }
    assert shown(api, anna, text="Hello { name }")["text"] == "Hello { name }"


def test_of_somebody_whom_it_is_not_for_the_answer_says_so(api: Api) -> None:
    anna = client(api, attributes={"name": "Anna"}, tag="regular")
    found = shown(api, anna, text=HELLO, filter={"tags": ["vip"]})
    assert (found["text"], found["in_audience"], found["unmatched"]) == ("Hello Anna", False, ["tags"])


def test_who_joined_after_the_launch_is_in_no_audience(api: Api) -> None:
    mailing_id = api.make("/mailings/", running(text=HELLO))["id"]
    api.launch(mailing_id)
    late = client(api, attributes={"name": "Anna"})
    found = api.get(f"/mailings/{mailing_id}/preview/?client_id={late}")
    assert (found["text"], found["in_audience"], found["unmatched"]) == ("Hello Anna", False, [])


@pytest.mark.parametrize(
    ("text", "attributes", "reason", "explanation"),
    [
        (HELLO, {}, "missing_value", "There is no value of “name”."),
        (
            "{% if vip %}a{% endif %} ",
            {},
            "missing_value",
            "Their text lacks a value, or there would be nothing to see",
        ),
        ("{{ a }}{{ a }}{{ a }}", {"a": "x" * 1000}, "too_long", "Their text would be longer than a message may be"),
        ("{{ 7 | divided_by: n }}", {"n": 0}, "missing_value", "A value does not fit: divided_by: can't divide by 0."),
    ],
)
def test_who_gets_nothing_is_told_why(api: Api, text: str, attributes: Any, reason: str, explanation: str) -> None:
    found = shown(api, client(api, attributes=attributes), text=text)
    assert (found["text"], found["skipped_because"]) == (None, reason)
    assert found["explanation"].startswith(explanation)


def test_what_has_ended_does_not_change_any_more(api: Api) -> None:
    anna, boris = client(api, attributes={"name": "Anna"}), client(api, "79123456780", attributes={"name": "Boris"})
    mailing_id = api.make("/mailings/", running(text=HELLO))["id"]
    api.launch(mailing_id)
    skipped = "status = 'skipped', error = 'missing_value', due_at = null"
    api.execute(f"update messages set {skipped} where client_id = :id", id=anna)
    api.execute("update messages set text = 'Hello B.', calls = 1 where client_id = :id", id=boris)
    path = f"/mailings/{mailing_id}/preview/?client_id="
    found = api.get(f"{path}{anna}")
    assert (found["text"], found["is_fixed"], found["skipped_because"]) == (None, True, "missing_value")
    found = api.get(f"{path}{boris}")
    assert (found["text"], found["is_fixed"], found["skipped_because"]) == ("Hello B.", True, None)


def test_a_retry_is_for_those_whose_message_ended_so(api: Api) -> None:
    anna, boris = client(api, attributes={"name": "Anna"}), client(api, "79123456780", attributes={"name": "Boris"})
    mailing_id = api.make("/mailings/", running(text=HELLO))["id"]
    api.launch(mailing_id)
    for client_id, status in ((anna, "failed"), (boris, "sent")):
        ended = "update messages set status = cast(:status as message_state), due_at = null where client_id = :id"
        api.execute(ended, status=status, id=client_id)
        api.execute(f"update mailing_counters set pending = pending - 1, {status} = {status} + 1 where slot = 1")
    retry = api.make(f"/mailings/{mailing_id}/retry/", {"states": ["failed"], "ends_at": from_now(HOUR)})["id"]
    path = f"/mailings/{retry}/preview/?client_id="
    assert [api.get(f"{path}{one}")["in_audience"] for one in (anna, boris)] == [True, False]
    assert api.get(f"{path}{anna}")["text"] == "Hello Anna"


def test_a_suppressed_phone_gets_nothing(api: Api) -> None:
    anna = client(api, attributes={"name": "Anna"})
    api.make("/suppressions/", {"phone": "79123456789"})
    found = shown(api, anna, text=HELLO)
    assert (found["text"], found["skipped_because"]) == (None, "opted_out")


def test_who_is_not_there_has_no_preview(api: Api) -> None:
    mailing_id = api.make("/mailings/", mailing())["id"]
    for path in (f"/mailings/{mailing_id}/preview/?client_id=9", "/mailings/9/preview/?client_id=1"):
        assert api("GET", path).status == 404
    for query in ("", "?client_id=0", "?client_id=x", "?client_id=1&more=1"):
        assert api("GET", f"/mailings/{mailing_id}/preview/{query}").status == 422


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("one {{ name", "Line 1, column 5: Expected '}}', found end of file."),
        ("one\ntwo {{ name | upcas }}", "Line 2, column 15: There is no filter “upcas”."),
        ("{% for i in (1..100000) %}x{% endfor %}", "Cannot be sent to anybody: A range has more than 1000 numbers."),
    ],
)
def test_what_is_no_template_is_refused_when_it_is_saved(api: Api, text: str, fault: str) -> None:
    made = api.make("/mailings/", mailing())
    for answer in (
        api("POST", "/mailings/", mailing(text=text)),
        api("PATCH", f"/mailings/{made['id']}/", {"text": text}),
        api("PUT", f"/mailings/{made['id']}/", mailing(text=text)),
    ):
        assert (answer.status, answer.json["errors"]) == (422, {"json": {"text": [fault]}})
    assert api.execute("select count(*) from mailings where text <> 'Hello'") == 0


def test_a_text_that_becomes_a_template_is_one_and_the_other_way_round(api: Api) -> None:
    anna = client(api, attributes={"name": "Anna"})
    path = f"/mailings/{api.make('/mailings/', mailing())['id']}/"
    for text, expected in ((HELLO, "Hello Anna"), ("Hello", "Hello"), (HELLO, "Hello Anna")):
        assert api("PATCH", path, {"text": text}).status == 200
        assert api.get(f"{path}preview/?client_id={anna}")["text"] == expected
