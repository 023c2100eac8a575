"""What schemathesis cannot read in the document, because JSON Schema has no words for it.

Loaded into its process by `schemathesis.toml`.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure

from shared.domain import timezones
from shared.domain.text.shown import label, shows_something
from shared.domain.text.template import find_fault, is_template

FIRST, LAST = datetime(2000, 1, 1), datetime(2100, 12, 31, 23, 59, 59, 999999)
"""Moments lie in these years, by UTC and by their own offset."""

_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_DAY = timedelta(days=1)

schemathesis.openapi.format("iana-time-zone", st.sampled_from(sorted(timezones.names())))
schemathesis.openapi.format(
    "date-time",
    st.datetimes(FIRST + _DAY, LAST - _DAY, timezones=_OFFSETS | st.just(UTC)).map(datetime.isoformat),
)


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: schemathesis.Response
) -> bool:
    """Drops the failure "Schema-valid request rejected" where the request breaks one of these rules."""
    if case.operation.label.endswith("/import/") and failure.code in ("ST201", "ST202"):
        return response.status_code not in (200, 415, 422)  # to the document a file is any text
    if failure.code != "ST202" or response.status_code != 422:
        return True
    answer = json.loads(response.content)
    errors = answer["errors"]
    if errors.keys() == {"headers"}:
        return answer["type"] != "idempotency-key-reused" and _has_sense(case.headers or {}, errors["headers"])
    if errors.keys() == {"query"}:
        query = case.query or {}
        allowed = {"after_id"} if {"page", "after_id"} <= query.keys() else set()
        allowed |= set() if query.get("timezone", "UTC") in timezones.names() else {"timezone"}
        allowed |= {"page", "page_size", "after_id"} if "format" in query else set()  # a file has no pages
        allowed |= _of_messages(case.operation.label, query)
        allowed |= {
            name for name, value in query.items() if name.startswith("attribute.") and not _is_a_value(str(value))
        }
        allowed |= set() if label(str(query.get("name", "any"))) else {"name"}
        return not errors["query"].keys() <= allowed
    return not _breaks_a_rule(case.method, case.body, errors.get("json", {}))


def _is_a_value(text: str) -> bool:
    return bool(label(text)) and "\0" not in text


def _of_messages(operation: str, query: Mapping[str, Any]) -> set[str]:
    """Parameters of a list of messages that do not go together, or lead on from a message that is not there."""
    if operation == "GET /clients/{client_id}/messages/":
        return {"after_id"}
    if operation != "GET /messages/":
        return set()
    filters = {"status", "error", "receipt"} & query.keys()
    if ("phone" in query) == ("mailing_id" in query):
        return {"phone"} | filters
    if "phone" in query:
        return {"after_id"} | filters
    uncounted = filters - {"status"}
    return (uncounted if len(filters) > 1 else set()) | ({"page"} if uncounted else set())


def _has_sense(headers: Mapping[str, Any], blamed: Mapping[str, Any]) -> bool:
    """Whether each header that is blamed looks as the document says, for which schemathesis does not always care."""
    return all(_SHAPES[name].fullmatch(str(headers.get(name, "")).strip(" \t")) for name in blamed)


_SHAPES = {
    "If-Match": re.compile(r'\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*'),
    "Idempotency-Key": re.compile("[!-~]{1,255}"),
}


def _breaks_a_rule(method: str, body: Any, errors: Mapping[str, Any]) -> bool:
    if not isinstance(body, dict):
        return False
    if method == "PUT" and "id" in errors:  # it has to be that of the address; and what else is wrong
        errors = {name: said for name, said in errors.items() if name != "id"}
    elif not errors:
        return False
    if not body.get("draft"):  # only a draft may leave a time open
        errors = {name: said for name, said in errors.items() if name not in _left_open(method, body)}
    errors = {name: said for name, said in errors.items() if not _is_beyond_words(name, said, body)}
    window = body.get("send_window") or {}
    times = {name: datetime.fromisoformat(body[name]) for name in ("starts_at", "ends_at") if body.get(name)}
    return (
        body.get("timezone", "UTC") not in timezones.names()
        or not shows_something(body.get("text", "something"))
        or (is_template(body.get("text", "")) and find_fault(body["text"]) is not None)
        or (errors.keys() == {"attributes"} and not _are_told_apart(body["attributes"]))
        or not errors
        or (bool(window) and window["from"] == window["until"])
        or not all(FIRST <= part <= LAST for time in times.values() for part in _readings(time))
        or (len(times) == 2 and times["ends_at"] <= max(times["starts_at"], datetime.now(UTC)))
        # Only what runs by itself needs an end that lies ahead.
        or (errors.keys() == {"ends_at"} and times["ends_at"] <= datetime.now(UTC))
        or (errors.keys() == {"states"} and _are_none(errors["states"]))
        # A change of one of them is held against the other one, which is stored.
        or (method == "PATCH" and len(times) == 1 and errors.keys() == times.keys())
    )


def _left_open(method: str, body: Mapping[str, Any]) -> set[str]:
    """The times that the request says to be none; a PATCH says nothing of what is not in it."""
    return {name for name in ("starts_at", "ends_at") if body.get(name) is None and (method != "PATCH" or name in body)}


def _are_none(sentences: Any) -> bool:
    """Whether a retry is of states in which there is no message."""
    return bool(re.fullmatch(r"\['No message of mailing \d+ has ended so.'\]", str(sentences)))


def _are_told_apart(attributes: Mapping[str, Any]) -> bool:
    """Whether what shows of each name is a name of its own, and something shows of each string."""
    names = [label(name) for name in attributes]
    strings = [label(value) for value in attributes.values() if isinstance(value, str)]
    return all(names) and len(names) == len(set(names)) and all(strings)


def _is_beyond_words(member: str, faults: Any, body: Mapping[str, Any]) -> bool:
    """Whether all that is said of a member is what JSON Schema cannot tell: what else there is, and what shows."""
    if member == "name" and not label(str(body.get("name", ""))):
        return True
    beginnings, said = _BEYOND_WORDS.get(member, ()), _sentences(faults)
    return bool(said) and all(sentence.startswith(beginnings) for sentence in said)


_OF_TRIALS = ("No client has this phone", "There is no client ", "There is no value of ")
_OF_FILTERS = ("There is no ", "A name shows something.", "Must show something", "Is given twice", "Must be an IANA")
_OF_PROVIDERS = ("Is no sender ", "No provider has this name")
_BEYOND_WORDS: Mapping[str, tuple[str, ...]] = {
    "filter": _OF_FILTERS,
    "phones": _OF_TRIALS,
    "client_id": _OF_TRIALS,
    "provider": _OF_PROVIDERS,
    "sender": _OF_PROVIDERS,
}


def _sentences(faults: Any) -> list[str]:
    if isinstance(faults, dict):
        return [one for each in faults.values() for one in _sentences(each)]
    return [str(one) for one in faults]


def _readings(time: datetime) -> tuple[datetime, datetime]:
    """By its own offset, and by UTC; each without it."""
    own = time.replace(tzinfo=None)
    offset = time.utcoffset() or timedelta()
    try:
        return own, own - offset
    except OverflowError:
        return own, own
