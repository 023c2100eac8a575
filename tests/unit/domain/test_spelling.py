"""Which characters make a text UCS-2, where they stand, and what to write instead."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.text.parts import GSM7, Encoding, parts
from shared.domain.text.spelling import _SPELLED, MOST_PLACES, culprits, is_avoidable, pieces, spelled

TABLE = [
    ("quotes and dashes", "“Sale” – it’s…", '"Sale" - it\'s...'),
    ("no-break space, thin space", "10\u00a0000\u2009m", "10 000 m"),
    ("nothing to see", "a\u200bb\u00adc\ufeff\u2066d\u2069", "abcd"),
    ("Cyrillic that looks Latin", "Сall us: АTM", "Call us: ATM"),
    ("Greek that looks Latin", "ΑTΜ οn", "ATM on"),
    ("Turkish", "Türkçe: ığışİĞŞÇ", "Türkce: igisIGSÇ"),
    ("Polish", "zażółć gęślą jaźń", "zazolc gesla jazn"),
    ("Czech", "Žluťoučký kůň", "Zlutoucky kun"),
    ("Romanian, Hungarian", "Ș ț ő Ű", "S t o U"),
    ("Vietnamese", "Tiếng Việt đ", "Tieng Viet d"),
    ("marks on letters", "cafe\u0301 u\u0308ber", "café über"),
    ("signs", "№ 5 ™ ½ ﬁ 100 ₽ •", "No. 5 TM 1/2 fi 100 RUB *"),
    ("full width", "Ａ１！", "A1!"),
    ("tabs", "a\tb", "a b"),
    ("what nothing looks like", "Hi 😀!", "Hi !"),
]


WRITTEN_OTHERWISE = ["Звоните нам", "Привіт, це ми", "Ґанок “А”", "Καλημέρα γιαγιά", "漢字", "שלום", "Сall нам"]


@pytest.mark.parametrize(("text", "plain"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_to_write_instead(text: str, plain: str) -> None:
    found = culprits(text)
    assert is_avoidable(found)
    assert spelled(text, found) == plain
    assert parts(spelled(text, found)).encoding is Encoding.GSM7


@pytest.mark.parametrize("text", WRITTEN_OTHERWISE)
def test_what_is_written_in_another_alphabet_is_not_to_be_spelled_otherwise(text: str) -> None:
    """Letters in it that look like Latin ones are no slips."""
    found = culprits(text)
    assert not is_avoidable(found)
    assert all(one.write is None for one in found if unicodedata.category(one.character)[0] == "L")


def test_where_they_stand() -> None:
    [quote, dash] = culprits("a “b “c — d —")
    assert (quote.name, quote.places, quote.count, quote.write) == ("LEFT DOUBLE QUOTATION MARK", [3, 6], 2, '"')
    assert (dash.character, dash.places) == ("—", [9, 13])


def test_places_count_characters_and_not_halves_of_pairs() -> None:
    assert [one.places for one in culprits("😀😀“e\u0301“")] == [[1, 2], [3, 6], [4]]


def test_of_a_long_text_not_every_place_is_named() -> None:
    [one] = culprits("😀" * 2000)
    assert (len(one.places), one.count, one.write) == (MOST_PLACES, 2000, None)


def test_what_is_in_the_alphabet_is_nobodys_fault() -> None:
    assert culprits("Ça va? 10 € {à} [ñ] ~^\\|") == ()


def test_what_is_to_be_written_is_in_the_alphabet() -> None:
    assert GSM7.issuperset("".join(_SPELLED.values()))
    assert not GSM7.intersection(_SPELLED)


@given(st.text(max_size=300) | st.text(st.sampled_from("“’–…\u00a0Сaоeь😀ñ\u0301i\u200dğ№"), max_size=300))
def test_all_that_is_avoidable_is_avoided(text: str) -> None:
    found = culprits(text)
    assert bool(found) == (parts(text).encoding is Encoding.UCS2)
    for one in found:
        at = one.places[0] - 1
        assert text[at : at + len(one.character)] == one.character
    if is_avoidable(found):
        assert parts(spelled(text, found)).encoding is Encoding.GSM7


@given(st.text(st.sampled_from("abcé “–\u200b😀e\u0301Ж"), max_size=40))
def test_a_text_is_cut_where_they_stand(text: str) -> None:
    found = culprits(text)
    cut = pieces(text, found)
    assert "".join(piece for piece, _ in cut) == text
    for one in found:
        assert sum(culprit is one for _, culprit in cut) == one.count
    assert all(GSM7.issuperset(piece) for piece, culprit in cut if culprit is None)
    assert not any(one[1] is None is other[1] for one, other in itertools.pairwise(cut))
