"""Zones come by their IANA names, from the package, and from nowhere else."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.timezones import names, zone

QUARTER = timedelta(minutes=15)


def test_every_name_is_a_zone_whose_midnights_fall_on_a_quarter_of_an_hour() -> None:
    """The daily figures are counted by the quarter."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    assert len(names()) > 400
    for name in names():
        offset = zone(name).utcoffset(now)
        assert offset is not None
        assert offset % QUARTER == timedelta(0), name


@pytest.mark.parametrize(
    "name",
    ["", "Moscow", "europe/moscow", "Europe", "Europe/Moscow/", "Factory", "localtime", "posixrules", "tzdata.zi",
     "../../etc/passwd", "/etc/localtime", "Europe/../Europe/Moscow", "Europe/Moscow\0", "UTC+3", "MSK", "\ud800"],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zone(name)


@given(st.text())
def test_any_text_is_a_name_or_refused(name: str) -> None:
    if name not in names():
        with pytest.raises(ValueError, match="IANA"):
            zone(name)


def test_the_machines_own_rules_are_not_looked_at() -> None:
    assert zoneinfo.TZPATH == ()
    assert zone("Europe/Moscow").utcoffset(datetime(2026, 6, 1, tzinfo=UTC)) == timedelta(hours=3)
