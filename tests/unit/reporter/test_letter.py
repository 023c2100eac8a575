"""The letter of a report can be read, whatever the figures and texts."""

import html
from collections.abc import Mapping
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.reporter import letter
from dispatcher_service.reporter.letter import Envelope
from dispatcher_service.reporter.report import Report
from shared.domain.message import FINAL_STATES, Error, MessageState
from shared.domain.timezones import zone
from shared.ledger.figures import Day, MailingDay

MOSCOW = zone("Europe/Moscow")
ENVELOPE = Envelope("Отчёты <reports@shop.example>", ("team@shop.example",))
NOW = datetime(2026, 10, 1, 6, tzinfo=UTC)


def _report(
    states: Mapping[MessageState, int] | None = None,
    errors: Mapping[Error, int] | None = None,
    texts: list[str] | None = None,
    unbalanced: list[int] | None = None,
    mailings: int = 0,
) -> Report:
    return Report(
        day=date(2026, 9, 30),
        start=datetime(2026, 9, 30, tzinfo=MOSCOW),
        end=datetime(2026, 10, 1, tzinfo=MOSCOW),
        figures=Day(mailings, states or {}, errors or {}, unbalanced or []),
        largest=[MailingDay(number, words, 10, states or {}) for number, words in enumerate(texts or [], 1)],
    )


def test_every_final_state_and_every_error_has_its_words() -> None:
    report = _report(dict.fromkeys(FINAL_STATES, 1), dict.fromkeys(Error, 1))
    for words in [letter.plain(report), html.unescape(letter.html(report))]:
        for name in [*FINAL_STATES, *Error]:
            assert name.meaning in words


@pytest.mark.parametrize(
    ("sent", "failed", "rate"),
    [
        (0, 0, "no messages"),
        (0, 7, "0.0 % delivered"),
        (1, 2, "33.3 % delivered"),
        (2, 1, "66.6 % delivered"),
        (999_999, 1, "99.9 % delivered"),  # only a day without a loss is a whole one
        (5, 0, "100.0 % delivered"),
    ],
)
def test_the_delivery_rate_is_rounded_down(sent: int, failed: int, rate: str) -> None:
    states = {MessageState.SENT: sent, MessageState.FAILED: failed}
    assert letter.subject(_report(states)) == f"Mailings on 30 September 2026: {rate}"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
counts = st.integers(0, 2**62)


@given(
    st.dictionaries(st.sampled_from(sorted(FINAL_STATES)), counts),
    st.dictionaries(st.sampled_from(Error), counts),
    st.lists(texts, max_size=3),
    st.lists(st.integers(1, 2**63 - 1), max_size=60),
)
def test_a_mail_of_any_figures_and_texts_arrives_as_it_was_written(
    states: dict[MessageState, int], errors: dict[Error, int], words: list[str], unbalanced: list[int]
) -> None:
    report = _report(states, errors, words, unbalanced)
    sent = letter.compose(report, ENVELOPE, "name", NOW).as_bytes()
    assert sent.isascii()
    assert max(map(len, sent.split(b"\r\n"))) <= 998
    message = message_from_bytes(sent, policy=default)
    assert message["Subject"] == letter.subject(report)
    assert message["Message-ID"] == "<report.2026-09-30.name@shop.example>"
    assert message["From"].addresses[0].display_name == "Отчёты"
    for subtype, part in (("plain", letter.plain(report)), ("html", letter.html(report))):
        body = message.get_body((subtype,))
        assert body is not None
        assert body.get_content().splitlines() == part.splitlines()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\r\n and\tmore", "two lines and more"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("word " * 20, ("word " * 20)[:59].rstrip() + "…"),
        ("a\x1b[31mred\x07\x85b", "a[31mred b"),
        ("evil \u202egnp.exe\u2066", "evil gnp.exe"),
    ],
)
def test_of_a_text_the_beginning_is_shown_in_one_line(text: str, shown: str) -> None:
    plain = letter.plain(_report(texts=[text], mailings=1))
    assert f"  {shown}\n" in plain


def test_many_unbalanced_mailings_do_not_fill_the_letter() -> None:
    plain = letter.plain(_report(unbalanced=list(range(1, 1000))))
    assert "49, 50 and 949 more:" in plain
    assert len(plain) < 3000
