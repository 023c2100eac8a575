"""No sentence of the console is missing in Russian, none is left over, and each has what is filled into it."""

import re

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from api_service.console.language import NAMES, RUSSIAN, language
from tests.support.command import ROOT

CONSOLE = ROOT / "api_service/console"
_FILLED_IN = re.compile(r"%\((\w+)\)s")


def written() -> Catalog:
    """What pages and modules say."""
    catalog = Catalog()
    methods = [("**.py", "python"), ("**.html", "jinja2")]
    options = {"**.html": {"newstyle_gettext": "true", "silent": "false"}}
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2)}
    for _, _, message, _, _ in extract_from_dir(CONSOLE, methods, options, keywords=keywords):
        catalog.add(message)
    return catalog


def translated() -> Catalog:
    with (CONSOLE / "translations/ru.po").open("rb") as file:
        return read_po(file, locale=RUSSIAN)


def said(catalog: Catalog) -> dict[object, Message]:
    """By pages and modules: what the rules say is another test's (`test_sentences.py`)."""
    return {message.id: message for message in catalog if message.id and message.context is None}


def forms(words: object) -> tuple[str, ...]:
    return tuple(words) if isinstance(words, (list, tuple)) else (str(words),)


def test_nothing_is_missing_and_nothing_left_over() -> None:
    assert said(written()).keys() == said(translated()).keys()


@pytest.mark.parametrize(
    "message", [message for message in translated() if message.id], ids=lambda message: str(forms(message.id)[0])[:40]
)
def test_a_sentence_is_whole(message: Message) -> None:
    expected = set(_FILLED_IN.findall(forms(message.id)[-1]))
    assert len(forms(message.string)) == (3 if len(forms(message.id)) > 1 else 1)
    for form in forms(message.string):
        assert form
        assert set(_FILLED_IN.findall(form)) == expected


def test_each_number_has_its_form() -> None:
    words = language(RUSSIAN).words
    shown = {
        number: words.ngettext("Send %(number)s message", "Send %(number)s messages", number).split()[-1]
        for number in (1, 2, 5, 11, 12, 21, 22, 25, 101, 111)
    }
    one, few, many = "сообщение", "сообщения", "сообщений"
    assert shown == {1: one, 2: few, 5: many, 11: many, 12: many, 21: one, 22: few, 25: many, 101: one, 111: many}
    assert set(NAMES) == {"en", "ru"}
