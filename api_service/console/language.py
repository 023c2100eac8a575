"""The languages of the console: English, in which it is written, and Russian.

Which one a page is in: what its reader has chosen, else what their browser asks for. The Russian sentences are in
`translations/ru.po`, as translators have it; it is read at the start, so there is nothing to build.
"""

import gettext as standard
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


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    locale: Locale
    words: standard.NullTranslations


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
    return Language(code, Locale.parse(code), _russian() if code == RUSSIAN else standard.NullTranslations())


def _wanted(request: Request) -> str:
    chosen = request.cookies.get(COOKIE)
    return chosen if chosen in NAMES else request.accept_languages.best_match(list(NAMES), ENGLISH)


def _russian() -> standard.NullTranslations:
    """A sentence that is missing is shown in English; a test finds it."""
    compiled = BytesIO()
    with files("api_service.console").joinpath("translations/ru.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=RUSSIAN))
    compiled.seek(0)
    return standard.GNUTranslations(compiled)
