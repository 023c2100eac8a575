"""The languages of the console: English, in which it is written, and Russian.

Which one a page is in: what its reader has chosen, else what their browser asks for. The Russian sentences are in
`translations/ru.po`, as translators have it; it is read at the start, so there is nothing to build.
"""

import gettext as standard
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Request, g

from api_service.web.parts import asked

COOKIE = "language"
ENGLISH, RUSSIAN = "en", "ru"
NAMES = {ENGLISH: "English", RUSSIAN: "Русский"}
RULE = "rule"
"""The context that sentences of the rules have in the catalogue: they stand in no page, and have gaps."""

Ids = tuple[str, ...]
"""A sentence in English; a second one is that of many."""


@dataclass(frozen=True, slots=True)
class Language:
    """rules: what it has of the sentences of the rules."""

    code: str
    locale: Locale
    words: standard.NullTranslations
    rules: Sequence[Ids] = ()


def chosen() -> Language:
    """That of the present request."""
    if "language" not in g:
        g.language = language(_wanted(asked()))
    found: Language = g.language
    return found


def gettext(message: str) -> str:
    return chosen().words.gettext(message)


def ngettext(one: str, many: str, number: int) -> str:
    """In the form that goes with the number."""
    return chosen().words.ngettext(one, many, number)


def marked(message: str) -> str:
    """A sentence that is translated where it is shown."""
    return message


@lru_cache(maxsize=len(NAMES))
def language(code: str) -> Language:
    words, rules = _russian() if code == RUSSIAN else (standard.NullTranslations(), ())
    return Language(code, Locale.parse(code), words, rules)


def _wanted(request: Request) -> str:
    chosen = request.cookies.get(COOKIE)
    return chosen if chosen in NAMES else request.accept_languages.best_match(list(NAMES), ENGLISH)


def _russian() -> tuple[standard.NullTranslations, Sequence[Ids]]:
    """A sentence that is missing is shown in English; a test finds it."""
    compiled = BytesIO()
    with files("api_service.console").joinpath("translations/ru.po").open("rb") as file:
        catalog = read_po(file, locale=RUSSIAN)
    write_mo(compiled, catalog)
    compiled.seek(0)
    ids = (one.id for one in catalog if one.context == RULE)
    return standard.GNUTranslations(compiled), [(one,) if isinstance(one, str) else tuple(one) for one in ids]
