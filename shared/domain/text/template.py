"""Personal texts: what is sent is made of a client's attributes. Pure.

A text is a template if it says so with `{{` or `{%`. Plain placeholders are compiled by ourselves, the rest is Liquid.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

from shared.domain.attributes import Value
from shared.domain.reason import Reason
from shared.domain.text.fault import Fault
from shared.domain.text.placeholders import Placeholders
from shared.domain.text.unmade import Unmade

_SAMPLES: tuple[Value, ...] = ("1", 1, True)


class Template(Protocol):
    """A text that is compiled. names: the attributes that it asks for."""

    names: frozenset[str]

    def render(self, values: Mapping[str, Value]) -> str | Unmade:
        """The text for who has these attributes."""


def is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


@lru_cache(maxsize=1000)
def compiled(text: str) -> Template | Fault:
    """Or what is wrong with it, which takes as long to find out."""
    try:
        return Placeholders.of(text) or _liquid(text)
    except Fault as fault:
        return fault


def _liquid(text: str) -> Template:
    """Raises Fault."""
    from shared.domain.text.liquid_text import LiquidText  # noqa: PLC0415 - it takes time and memory, and few ask for it

    return LiquidText(text)


def find_fault(text: str) -> str | None:
    """What is wrong with a template, in a sentence; None: nothing. One that reaches a limit whatever the values are is
    wrong as well."""
    template = compiled(text)
    if isinstance(template, Fault):
        return str(template)
    made = [template.render(dict.fromkeys(template.names, sample)) for sample in _SAMPLES]
    if all(isinstance(one, Unmade) and one.reason is Reason.TOO_LONG for one in made):
        return f"Cannot be sent to anybody: {made[0].why}"  # type: ignore[union-attr]
    return None


def made_of(text: str, personal: bool, values: Mapping[str, Value]) -> str | Unmade:
    """What is sent of a mailing's text to who has these attributes. personal: whether it was saved as a template."""
    return render(text, values) if personal else text


def render(text: str, values: Mapping[str, Value]) -> str | Unmade:
    """What is sent of a template to who has these attributes, whatever its length, or why there is nothing to send."""
    return renderer(text)(values)


def renderer(text: str) -> Callable[[Mapping[str, Value]], str | Unmade]:
    """The same for many."""
    template = compiled(text)
    if isinstance(template, Fault):  # it was none when it was saved
        unmade = Unmade(Reason.MISSING_VALUE, str(template))
        return lambda _: unmade
    return template.render
