"""What a text shows."""

import pytest

from shared.domain.text.shown import label, shows_something

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
NOTHING += ["\u061c\u202e", "\ufe0f\u20e3", "\U000e0041\U000e007f", "\u034f", "\U000e0100", "\U0001d159", "\x1a"]


@pytest.mark.parametrize("text", NOTHING)
def test_nothing(text: str) -> None:
    assert not shows_something(text)


@pytest.mark.parametrize(
    "text", ["a", " . ", "\u200b1", "\U0001f44b", "\u2764\ufe0f", "\u0435\u0301", "\uac00", "$", "\U0001faff"]
)
def test_something(text: str) -> None:
    assert shows_something(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        *(("\x1avip\x1a", "vip"), ("\u2800vip\u3164", "vip"), ("\u200fvip\u061c", "vip"), ("Кои\u0306", "Кой")),
        *(("\u0301", ""), ("\ufe0f", ""), ("\u2800 \u115f", ""), ("\U000e0041", ""), ("a\xa0b", "a\xa0b")),
        *(("\u2764\ufe0f", "\u2764\ufe0f"), ("\U0001faff", "\U0001faff")),
        *(("\0", "\0"), ("\udcff", "\udcff"), ("\u0301\0", "\u0301\0")),
    ],
)
def test_what_looks_the_same_is_the_same(text: str, kept: str) -> None:
    assert label(text) == kept
