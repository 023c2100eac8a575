"""What the rules say is told in Russian where the page is Russian: each of their sentences, and what they make of what
is so."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import liquid
import marshmallow
import pytest
import werkzeug.exceptions
from flask import Flask

from api_service.console import sentences
from api_service.console.language import COOKIE, RUSSIAN, language
from api_service.directory.files import kinds, phone_spellings, rows
from api_service.mailings.findings import blockers, warnings
from api_service.mailings.preflight_store import wording
from api_service.tracking import explain, explain_retry
from api_service.tracking.explain import Facts, Standing
from api_service.tracking.explain_retry import Source
from shared.database.models import Client, Mailing
from shared.domain.filter import Filter
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import ReceiptState
from shared.domain.text.template import find_fault
from shared.domain.window import Window
from tests.support.command import ROOT
from tests.support.sentences import FOLDERS, GAP, english, written
from tests.unit.mailings.test_findings import FINE, TABLE

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
_FILLED_IN = re.compile(r"%\(\w+\)s")


@pytest.fixture(autouse=True)
def on_a_russian_page() -> Iterator[None]:
    with Flask(__name__).test_request_context(headers={"Cookie": f"{COOKIE}={RUSSIAN}"}):
        yield


def assert_russian(sentence: str) -> None:
    said = sentences.said(sentence)
    assert 'lang="en"' not in said, sentence
    assert english(said) == [], sentence


# ---------------------------------------------------------------- nothing is missing, and nothing left over

UNSEEN = {  # by the modules whose sentences no page shows: why
    "command.py": "on the command line",
    "suppression_command.py": "on the command line",
    "suppression_keys.py": "when the service starts",
    "document.py": "the document",
    "preflight_schema.py": "the document",
    "error_pages.py": "pages of the document",
    "enums.py": "the document",
    "blueprint.py": "the query of a request of the API",
    "messages.py": "the same",
    "middleware.py": "headers",
    "idempotency.py": "headers of the API",
    "body.py": "JSON of the API",
    "coding.py": "compressed bodies of the API",
    "export.py": "lists of the API as files",
    "receipts.py": "what providers send",
    "reference.py": "names that other programs give",
    "health.py": "for probes",
    "work.py": "a mistake of whoever programs",
    "finding.py": "for all mailings; what is said of one is below",
}
NOT_SHOWN = (
    r"The id of the \w+\.", "The doors open at noon.", "Given whole",
    r"What|Why|Where|Of their last attempt|\. Null",  # the document
    "The charset is none of", "Is no message of this client",  # no form declares one, or says after what
    r"\0 more lines were refused", r"Key \0",  # a file; the command line
    "Cannot be together with page", "The page, counted from 1", "In place of `page`", "Must be that of the address",
    "Seconds until then", "What is wanted", "This is no valid API key", "The database is not available",
)  # fmt: skip


def sentences_of_the_code() -> list[str]:
    files = (file for folder in FOLDERS for file in sorted(folder.rglob("*.py")) if file.name not in UNSEEN)
    files = (file for file in files if not {"oidc", "profile"} & set(file.parts))  # what the log, and operators read
    found = (one.strip() for file in files for one in written(file))
    is_sentence = re.compile(r"(?:\W*[A-Za-z]+\W+){2}.*[.:]|[A-Z]\w+ .*\.", re.DOTALL)
    return sorted({one for one in found if is_sentence.fullmatch(one) and not re.match("|".join(NOT_SHOWN), one)})


def test_each_sentence_of_the_rules_has_a_place_in_the_catalogue() -> None:
    """Whole where nothing is filled in, else with all that stands around what is, or a number."""
    known = [_FILLED_IN.sub(GAP, one) for ids in language(RUSSIAN).rules for one in ids]
    found = sentences_of_the_code()
    assert len(found) > 150
    for sentence in found:
        if GAP not in sentence and "{}" not in sentence and sentence.endswith("."):
            assert_russian(sentence)
            continue
        around = (part.strip(" -") for part in re.split(rf"{GAP}|{{}}|\d+", sentence))
        looked_for = re.compile(".*?".join(re.escape(part) for part in around if part.strip(" .:,")), re.DOTALL)
        assert any(map(looked_for.search, known)), sentence


def test_nothing_in_the_catalogue_is_left_over() -> None:
    """Three words in a row of each stand in the code, or in that of the libraries that speak for themselves."""
    folders = [Path(path) for library in (liquid, marshmallow) for path in library.__path__]
    libraries = [path for folder in folders for path in folder.rglob("*.py")]
    code = [
        Path(werkzeug.exceptions.__file__),
        *libraries,
        *(ROOT / "api_service").rglob("*.py"),
        *(ROOT / "shared").rglob("*.py"),
    ]
    said = " ".join(
        part.value
        for file in code
        for part in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )
    words = " ".join(re.findall(r"\w+", said.casefold()))
    for ids in language(RUSSIAN).rules:
        parts = [re.findall(r"\w+", part.casefold()) for part in _FILLED_IN.split(ids[-1])]
        longest = max(parts, key=len)
        assert not longest or any(
            " ".join(longest[place : place + 3]) in words for place in range(max(1, len(longest) - 2))
        ), ids


# ---------------------------------------------------------------- what is made of what is so


@pytest.mark.parametrize("facts", [row[1] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_stands_in_the_way_of_a_mailing(facts: dict[str, Any]) -> None:
    found = replace(FINE, **facts)
    for one in (*blockers(found), *warnings(found)):
        assert_russian(one.message)


def test_each_number_has_its_form_and_each_character_shows() -> None:
    spelled = warnings(replace(FINE, wording=wording("“Hi”, " + "a" * 70 + "😀")))[0].message
    assert "2 части (UCS-2); " in sentences.said(spelled)
    assert "«😀» на месте 77 (уберите)" in sentences.said(spelled)
    shown = [
        sentences.said(f"About {number:,} clients are still to get another mailing: 7, 9 and 3 more.")
        for number in (21, 3000)
    ]
    assert shown == [
        "≈ 21 клиент ещё получит другую рассылку: 7, 9 и ещё 3.",
        "≈ 3\N{NO-BREAK SPACE}000 клиентов ещё получат другую рассылку: 7, 9 и ещё 3.",
    ]


def of(module: Any) -> list[str]:
    return [one for name, one in vars(module).items() if isinstance(one, str) and name.isupper() and one.endswith(".")]


@pytest.mark.parametrize("sentence", [*of(phone_spellings), *of(rows)])
def test_what_is_wrong_with_a_line(sentence: str) -> None:
    assert_russian(sentence)
    assert_russian(f"8926: {sentence}")


@pytest.mark.parametrize("sign", [sign for sign, _ in (*kinds._KINDS, *kinds._MARKED)])
def test_what_a_file_is_that_is_none(sign: bytes) -> None:
    found = kinds.foreign(sign)
    assert found
    assert_russian(found)


def test_what_is_inside_of_an_archive() -> None:
    for part, _ in kinds._INSIDE:
        found = kinds.foreign(b"PK\x03\x04" + part)
        assert found
        assert_russian(found)


@pytest.mark.parametrize(
    "text",
    [
        "{{ a", "{{ a | foo }}", "{% if %}", "{% if a %}", "{{ }}", "{% bla %}", "{{ a b }}", "{{ a | default: 'x }}",
        "{% for i in (1..5000) %}a{% endfor %}", "{% for x in %}{% endfor %}", "{% endif %}",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_template(text: str) -> None:
    found = find_fault(text)
    assert found
    assert english(sentences.said(found)) == []


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ("Nobody has thought of this sentence.", '<span lang="en">Nobody has thought of this sentence.</span>'),
        ("<b>: Must be three digits.", "&lt;b&gt;: Нужны три цифры."),
        ("phone: Must be three digits.", "телефон: Нужны три цифры."),
        ("There is no filter “<i>”.", "Фильтра «&lt;i&gt;» нет."),
        ("", ""),
        (
            "The key that makes it expires on 2050-02-31: it cannot last longer.",
            '<span lang="en">The key that makes it expires on 2050-02-31: it cannot last longer.</span>',
        ),
        (
            "The mailing is launched at 0001-01-01T00:00:00+03:00.",
            '<span lang="en">The mailing is launched at 0001-01-01T00:00:00+03:00.</span>',
        ),
    ],
)
def test_what_is_not_known_stays_as_it_is_and_nothing_is_markup(about: str, expected: str) -> None:
    assert sentences.said(about) == expected


def test_a_long_text_of_others_is_left_alone() -> None:
    """Else a field would keep a thread of the service busy, or be taken apart without end."""
    for part in ("a: ", "a: b. ", "Cannot be sent to anybody: ", "x: Must be three digits. ", "1 client because "):
        assert "lang" in sentences.said(part * (sentences._LONGEST // len(part)) + "?")


# ---------------------------------------------------------------- why somebody has a message, or none


def mailing(**more: Any) -> Mailing:
    values: dict[str, Any] = {
        "id": 7, "text": "Hello", "draft": False, "starts_at": NOW - HOUR, "ends_at": NOW + HOUR, "filter": Filter(),
        "audience_limit": 100, "audience_cursor": 100, "launched_at": NOW - HOUR,
    }  # fmt: skip
    return Mailing(**values | more)


STATES: list[dict[str, Any]] = [
    {},
    {"draft": True, "launched_at": None, "audience_limit": None},
    {"starts_at": NOW + HOUR / 2, "launched_at": None, "audience_limit": None},
    {"starts_at": None, "draft": True, "launched_at": None, "audience_limit": None},
    {"paused_at": NOW, "launched_at": None, "audience_limit": None},
    {"paused_at": NOW, "halted_at": NOW, "launched_at": None, "audience_limit": None},
    {"paused_at": NOW, "halted_at": NOW, "provider_words": "no such sender", "launched_at": None, "audience_limit": 9},
    {"cancelled_at": NOW, "launched_at": None, "audience_limit": None},
    {"ends_at": NOW, "launched_at": None, "audience_limit": None},
    {"launched_at": None, "audience_limit": 3, "audience_cursor": 2},
    {"messages_removed_at": NOW},
    {"send_window": Window(start=time(1), end=time(2))},
]
CLIENT = Client(id=5, phone=79120000001, tag="vip", operator_code="912", timezone="Asia/Omsk")
MEMBERS = ("tags", "operator_codes", "timezones", "attributes", "segments", "imports")
UNMATCHED = [[], *([one] for one in MEMBERS), [f"exclude.{one}" for one in (*MEMBERS, "mailings")], ["tags", "imports"]]
LISTS = Filter(tags=["vip", "x; y", "b", "c", "d", "e"], operator_codes=["926"], imports=[1, 2])


@pytest.mark.parametrize("state", STATES, ids=str)
def test_why_there_is_none(state: dict[str, Any]) -> None:
    for unmatched, client in product(UNMATCHED, (CLIENT, None)):
        facts = Facts(mailing(**{"filter": LISTS} | state), client, unmatched, NOW)
        for client_id in (5, 1000):
            _, sentence = explain.of_none(facts, client_id)
            assert_russian(sentence.replace("no such sender", "nono"))


@pytest.mark.parametrize("state", STATES, ids=str)
def test_why_a_message_stands_where_it_does(state: dict[str, Any]) -> None:
    errors = (None, Error.REJECTED, Error.TIMED_OUT, *Reason)
    for status, error, client, words in product(MessageState, errors, (CLIENT, None), (None, "Отказ. No")):
        standing = Standing(status, error, words, NOW + HOUR if words else None, NOW if words else None)
        facts = Facts(mailing(**state), client, [], NOW)
        assert_russian(explain.of_message(facts, standing).replace("no such sender", "nono"))


@pytest.mark.parametrize(("error", "receipt"), [*product(Error, [None]), *product([Error.REJECTED], ReceiptState)])
def test_why_it_did_not_succeed(error: Error, receipt: ReceiptState | None) -> None:
    standing = Standing(MessageState.FAILED, error, "no", None, None, receipt)
    assert_russian(explain.of_message(Facts(mailing(), CLIENT, [], NOW), standing))


@pytest.mark.parametrize(
    "source",
    [
        Source(is_kept=False),
        Source(is_kept=True),
        Source(True, 1, "sent"),
        Source(True, 1, "unknown", "timed_out"),
        Source(True, 1, "failed", "rejected"),
        Source(True, 200, "failed", "rejected", is_reached=True),
        Source(True, 1, "failed", "rejected", is_reached=True),
    ],
)
def test_why_there_is_none_of_a_retry(source: Source) -> None:
    for state, client in product(STATES, (CLIENT, None)):
        retry = mailing(**state, retry_of=3, retry_states=["failed"], retry_errors=[])
        sentence = explain_retry.of_none(Facts(retry, client, [], NOW), source)[1]
        assert_russian(sentence.replace("no such sender", "nono"))
