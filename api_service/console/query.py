"""What is chosen on a page by the parameters of its address."""

from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

from api_service.console.forms import whole
from api_service.console.language import marked as _
from api_service.web.parts import asked
from api_service.web.problems import NotFound

Choice = TypeVar("Choice", bound=StrEnum)


def one_of(kind: type[Choice], name: str) -> Choice | None:
    """None: nothing is chosen. Raises NotFound for what is none of them."""
    given = asked().args.get(name, "")
    if not given:
        return None
    try:
        return kind(given)
    except ValueError:
        raise NotFound(_("There is no such page.")) from None


def among(names: Collection[str], name: str) -> str | None:
    """One of these names; None: nothing is chosen. Raises NotFound for what is none of them."""
    given = asked().args.get(name) or None
    if given is not None and given not in names:
        raise NotFound(_("There is no such page."))
    return given


def after() -> int:
    """The id behind which a list goes on; 0: it begins. Raises NotFound."""
    return number("after", "0")


def number(name: str, missing: str = "") -> int:
    """Raises NotFound for what is none."""
    found = whole(asked().args.get(name, missing).strip())
    if not isinstance(found, int):
        raise NotFound(_("There is no such page."))
    return found
