"""Time zones as people write them in files: what each is taken for, and what is not guessed at."""

import pytest

from api_service.directory.files.zone_spellings import normalised
from shared.domain import timezones

TAKEN = {
    "Europe/Moscow": ["Europe/Moscow", "europe/moscow", "EUROPE/MOSCOW", "Europe / Moscow", "MSK", "мск", "МСК+0"],
    "America/New_York": ["America/New_York", "America/New York", "america/new_york"],
    "Etc/GMT-3": ["UTC+3", "utc +03:00", "GMT+0300", "GMT+3", "UTC+03"],
    "Etc/GMT-5": ["МСК+2", "msk + 2", "UTC+5", "Etc/GMT-5"],
    "Etc/GMT-2": ["МСК-1", "МСК\u22121"],
    "Etc/GMT+5": ["UTC-5", "GMT-05:00"],
    "UTC": ["UTC", "utc", "UTC+0", "МСК-3"],
}
NOT_GUESSED = [
    *("+3", "+03:00", "3", "Москва", "Moscow", "Russian Standard Time", "(UTC+03:00) Москва, Санкт-Петербург"),
    *("UTC+3:30", "UTC+15", "GMT-13", "МСК+12", "UTC+03:00 DST", "Europe Moscow", "Europe/", "", "/", "Z"),
]


@pytest.mark.parametrize(("name", "spelling"), [(name, one) for name, some in TAKEN.items() for one in some])
def test_taken(name: str, spelling: str) -> None:
    assert normalised(spelling) == name


@pytest.mark.parametrize("spelling", NOT_GUESSED)
def test_what_could_be_several_is_left(spelling: str) -> None:
    assert normalised(spelling) == spelling
    assert spelling not in timezones.names()


def test_every_zone_is_itself() -> None:
    assert all(normalised(name) == name for name in timezones.names())
