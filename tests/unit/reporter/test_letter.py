"""The letter of a report can be read, whatever the figures and texts."""

import html
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.reporter import letter, plot
from dispatcher_service.reporter.letter import Envelope
from dispatcher_service.reporter.words import ENGLISH, RUSSIAN, Words
from shared.domain.message import FINAL_STATES, Error, MessageState
from shared.domain.receipt import RECEIPTS
from shared.domain.timezones import zone
from shared.ledger.breakdown import Breakdown, Group
from shared.ledger.day import Failed
from shared.ledger.figures import Day, MailingDay
from shared.ledger.report import Report

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


def test_in_russian_there_is_no_english() -> None:
    """But names of the service itself, and what is a name everywhere."""
    states, reasons = dict.fromkeys(FINAL_STATES, 1), [Group("912", one, "timed_out") for one in FINAL_STATES]
    report = _report(states, dict.fromkeys(Error, 1), ["Скидка"], [1], 60)
    report = replace(report, breakdown=Breakdown(dict.fromkeys(reasons, 1)), failed=Failed([1], 3), hours=[(1, 1)] * 24)
    allowed = {"JSON", "DNS", "TLS", "PROVIDER_URL", "code", "xx", "id", "Europe", "Moscow"}
    page = re.sub(r"<style.*?</style>|<[^>]*>|&#?\w+;", " ", letter.html(report, RUSSIAN), flags=re.DOTALL)
    for words in (letter.plain(report, RUSSIAN), page, letter.subject(report, RUSSIAN)):
        assert set(re.findall("[A-Za-z_]+", words)) <= allowed
    assert letter.subject(report, RUSSIAN).startswith(
        "Учёт не сходится! Не удались целиком: 3! Рассылки за 30 сентября"
    )


@pytest.mark.parametrize("words", [ENGLISH, RUSSIAN], ids=["en", "ru"])
def test_what_failed_as_a_whole_and_what_was_repeated_is_told(words: Words) -> None:
    report = replace(_report({MessageState.FAILED: 10}, texts=["one", "two"]), repeats=7, failed=Failed([2], 1))
    for letter_part in (letter.plain(report, words), html.unescape(letter.html(report, words))):
        assert words.failed.format(ids="2") in letter_part
        assert letter_part.count(words.failed_mark) == 1
        assert words.repeated_note in letter_part
    assert words.warns_failed.format(number=1) in letter.subject(report, words)


@pytest.mark.parametrize("words", [ENGLISH, RUSSIAN])
def test_receipts_that_came_are_told(words: Words) -> None:
    assert words.receipts.keys() == set(RECEIPTS)
    report = _report({MessageState.SENT: 2000})
    assert words.by_receipt not in letter.plain(report, words)
    numbers = {name: 1001 + place for place, name in enumerate(RECEIPTS)}
    report = replace(report, figures=replace(report.figures, receipts=numbers))
    for said in (letter.plain(report, words), html.unescape(letter.html(report, words))):
        assert words.by_receipt in said
        for name, number in numbers.items():
            assert words.receipts[name] in said
            assert str(number) in said.replace(words.thousands, "")


def test_reasons_and_operators_are_told_with_their_rates() -> None:
    sent, failed, gone = MessageState.SENT, MessageState.FAILED, MessageState.CANCELLED
    counts = {
        Group("912", sent, ""): 5, Group("912", failed, "rejected"): 5, Group("912", gone, ""): 90,
        Group("", failed, "rejected"): 1, Group("", failed, "timed_out"): 2,
    }  # fmt: skip
    lines = [
        " ".join(line.split())
        for line in letter.plain(replace(_report({sent: 5}), breakdown=Breakdown(counts))).splitlines()
    ]
    for line in ("6 failed, rejected", "2 failed, timed_out", "90 cancelled", "912 100 50.0 %", "unknown 3 0.0 %"):
        assert line in lines


def test_the_plot_stands_in_the_letter_and_is_a_picture() -> None:
    hours = [(number, 24 - number) for number in range(24)]
    report = replace(_report({MessageState.SENT: 1}), hours=hours)
    message = message_from_bytes(letter.compose(report, ENVELOPE, "name", NOW).as_bytes(), policy=default)
    assert message.get_content_type() == "multipart/alternative"
    [picture] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert f'src="cid:{picture["Content-ID"][1:-1]}"' in letter.html(report)
    width, height, colours = _drawn(picture.get_content())
    assert (width, height) == (plot.WIDTH, plot.HEIGHT)
    assert {(0x1F, 0x8A, 0x5B), (0xC8, 0x45, 0x3B), (255, 255, 255)} <= colours
    assert len(picture.get_content()) < 20_000
    nothing = message_from_bytes(letter.compose(_report(), ENVELOPE, "name", NOW).as_bytes(), policy=default)
    assert not [part for part in nothing.walk() if part.get_content_maintype() == "image"]
    assert "<img" not in letter.html(_report())


def test_no_row_is_wider_than_a_phone() -> None:
    """A name, which breaks where it has to, and a number: a table of more columns would have to be scrolled."""
    report = replace(
        _report(dict.fromkeys(FINAL_STATES, 10**9), dict.fromkeys(Error, 10**9), ["x" * 60] * 3), hours=[(1, 1)]
    )
    page = letter.html(report)
    for table in re.findall(r"<table(?![^>]*table-layout:fixed)[^>]*>", page):
        assert 'width="100%"' in table
    rows = re.findall(r"<tr>(?:(?!<tr>|<table).)*?</tr>", page, re.DOTALL)
    assert len(rows) > len(FINAL_STATES) + len(Error)
    assert {len(re.findall("<td", row)) for row in rows if 'width="25%"' not in row} <= {1, 2}
    assert page.count("white-space:nowrap") == page.count("padding-left:12px;font-weight:600;white-space:nowrap") + 3


def _drawn(png: bytes) -> tuple[int, int, set[tuple[int, ...]]]:
    """Width, height and colours, with every sum of the file held against its content."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        found[kind], at = data, at + 12 + length
    width, height = struct.unpack(">II", found[b"IHDR"][:8])
    rows = zlib.decompress(found[b"IDAT"])
    assert len(rows) == height * (1 + 3 * width)
    lines = [rows[start + 1 : start + 1 + 3 * width] for start in range(0, len(rows), 1 + 3 * width)]
    return width, height, {tuple(line[place : place + 3]) for line in lines for place in range(0, 3 * width, 3)}


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=25))
def test_any_hours_can_be_drawn(hours: list[tuple[int, int]]) -> None:
    with patch.object(plot, "WIDTH", 60), patch.object(plot, "HEIGHT", 20), patch.object(plot, "_GAP", 1):
        assert _drawn(plot.bars(hours, [(1, 2, 3), (4, 5, 6)]))[:2] == (60, 20)


@pytest.mark.parametrize(
    ("sent", "failed", "rate"),
    [
        (0, 0, "no messages"),
        (0, 7, "0.0 % accepted"),
        (1, 2, "33.3 % accepted"),
        (2, 1, "66.6 % accepted"),
        (999_999, 1, "99.9 % accepted"),  # only a day without a loss is a whole one
        (5, 0, "100.0 % accepted"),
    ],
)
def test_the_rate_of_acceptance_is_rounded_down_and_leaves_out_what_was_cancelled(
    sent: int, failed: int, rate: str
) -> None:
    states = {MessageState.SENT: sent, MessageState.FAILED: failed, MessageState.CANCELLED: 10 * (sent + failed)}
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
