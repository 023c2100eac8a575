"""What a text shows."""

import pytest

from shared.domain.text.shown import shows_something

NOTHING = [
    "",
    "   ",
    "\n",
    "\r\n\t",
    "\u200b\u200b",
    "\u00a0",
    "\u3000\u2028",
    "\ufeff",
    "\u00ad",
    "\u2060\u200d",
    "\u0301",
]
NOTHING += ["\u3164", "\u115f\u1160", "\u2800", "\u180e", "\x00\x1f", "\ufe0f", "\U000e0001", "\ue000"]


@pytest.mark.parametrize("text", NOTHING)
def test_nothing(text: str) -> None:
    assert not shows_something(text)


@pytest.mark.parametrize("text", ["a", " . ", "\u200b1", "\U0001f44b", "\u2764\ufe0f", "\u0435\u0301", "\uac00", "$"])
def test_something(text: str) -> None:
    assert shows_something(text)
