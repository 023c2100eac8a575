"""The values of bodies: what is understood, what is refused, and that what is answered could be sent again."""

from contextlib import suppress
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from marshmallow.fields import Field

from api_service.web.fields import Moment, Number, OperatorCode, Phone, Text, TimeOfDay, Zone
from shared.domain import timezones

FIELDS: list[Field[Any]] = [Text(), Phone(), OperatorCode(), TimeOfDay(), Zone(), Moment()]

MOSCOW_NINE = datetime(2026, 1, 31, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "sent", "understood"),
    [
        (Phone(), "79123456789", 79123456789),
        (OperatorCode(), "012", "012"),
        (TimeOfDay(), "00:00", time(0)),
        (TimeOfDay(), "23:59", time(23, 59)),
        (Zone(), "Europe/Moscow", "Europe/Moscow"),
        (Zone(), "UTC", "UTC"),
        (Text(), "Привет 👋\n", "Привет 👋\n"),
        (Moment(), "2026-01-31T09:00:00+03:00", MOSCOW_NINE),
        (Moment(), "2026-01-31T09:00+0300", MOSCOW_NINE),
        (Moment(), "2026-01-31T09:00+03", MOSCOW_NINE),
        (Moment(), "2026-01-31T06:00:00Z", MOSCOW_NINE),
        (Moment(), "2026-01-31T06:00:00.250Z", MOSCOW_NINE + timedelta(milliseconds=250)),
        (Moment(), "2026-01-31T06:00:00.123456789Z", MOSCOW_NINE + timedelta(microseconds=123456)),
        (Moment(), "2000-01-01T14:00:00+14:00", datetime(2000, 1, 1, tzinfo=UTC)),
        (Moment(), "2100-12-31T11:59:59-12:00", datetime(2100, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_understood(field: Field[Any], sent: str, understood: object) -> None:
    assert field.deserialize(sent) == understood


@pytest.mark.parametrize("sent", [7, 7.0])
def test_a_whole_number(sent: object) -> None:
    understood = Number(strict=True).deserialize(sent)
    assert (understood, type(understood)) == (7, int)


@pytest.mark.parametrize("sent", [7.5, True, "7", "7.0", float("inf"), float("nan"), [7], None])
def test_no_whole_number(sent: object) -> None:
    with pytest.raises(ValidationError):
        Number(strict=True).deserialize(sent)


ARABIC_NINE, FULLWIDTH_NINE = "\u0669", "\uff19"

REFUSED: dict[type[Field[Any]], tuple[str, ...]] = {
    Phone: (
        *("", "+79123456789", "89123456789", "7912345678", "791234567890", "7 912 345 67 89", " 79123456789"),
        *("79123456789\n", f"7{ARABIC_NINE}123456789", f"7{FULLWIDTH_NINE}123456789"),
    ),
    OperatorCode: ("", "91", "9123", "91a", "912\n", f"{ARABIC_NINE}12"),
    TimeOfDay: ("", "24:00", "9:00", "09:60", "09:00:00", "09", "09:00+03:00", f"0{ARABIC_NINE}:00"),
    Zone: ("", "../../etc/passwd", "/UTC", "Mars/Phobos", "europe/moscow", "Factory", "UTC\n"),
    Moment: (
        *("2026-01-31T09:00:00", "2026-01-31T09:00:00.5"),  # naive
        *("2026-02-30T09:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T09:00:60Z", "2026-01-31T09:00:00+24:00"),
        *("2026-01-31T09:00:00+03:60", "2026-01-31T09:00:00+3", f"202{FULLWIDTH_NINE}-01-31T09:00:00Z"),
        *("", "2026-01-31", "2026-01-31T09Z", "2026-W05-6T09:00:00Z", "2026-01-31 09:00:00Z", "1769839200", "now"),
        *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1999-12-31T00:00Z", "2101-01-01T00:00Z"),
        *("2000-01-01T00:00:00+14:00", "2100-12-31T23:59:59-12:00"),  # in other years by UTC, in which it is answered
    ),
    Text: ("a\0", "\ud800", "\udfff tail", "a\ud83db"),
}


@pytest.mark.parametrize(("field", "sent"), [(field(), sent) for field, values in REFUSED.items() for sent in values])
def test_refused(field: Field[Any], sent: str) -> None:
    with pytest.raises(ValidationError):
        field.deserialize(sent)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: type(field).__name__)
@pytest.mark.parametrize("value", [79123456789, 912, 9.0, float("nan"), True, None, [], {}, ["79123456789"], 10**30])
def test_nothing_but_a_string_will_do(field: Field[Any], value: object) -> None:
    with pytest.raises(ValidationError):
        field.deserialize(value)


@given(st.text(), st.sampled_from(FIELDS))
def test_any_text_is_understood_or_refused(text: str, field: Field[Any]) -> None:
    with suppress(ValidationError):
        field.deserialize(text)


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2100, 12, 30)),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_a_moment_survives_the_way_there_and_back(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(tzinfo=zone)
    field = Moment()
    understood = field.deserialize(moment.isoformat())
    assert understood == moment
    assert field.deserialize(field._serialize(understood)) == moment


@given(st.integers(70000000000, 79999999999))
def test_a_phone_survives_the_way_there_and_back(phone: int) -> None:
    assert Phone().deserialize(Phone()._serialize(phone)) == phone


def test_every_zone_that_clients_may_have_is_understood() -> None:
    assert {Zone().deserialize(name) for name in timezones.names()} == timezones.names()
