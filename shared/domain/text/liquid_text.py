"""Texts in Liquid, by python-liquid. Pure.

Of the client's attributes, which are strings, numbers and booleans, and of nothing else. A name without a value is nil
in conditions and gives way to a `default`; written out, it is a value that is missing. All limits are counted, not
timed: what was shown before is what is sent, however busy the machine is.
"""

import re
from collections.abc import Mapping
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext, Undefined
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError, LiquidInterrupt, ResourceLimitError, UndefinedError
from liquid.output import NullIO
from liquid.token import Token
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from shared.domain.attributes import Value
from shared.domain.reason import Reason
from shared.domain.text.fault import Fault
from shared.domain.text.filters import MOST_CHARACTERS, put_into_place
from shared.domain.text.unmade import Unmade, missing

MOST_STEPS = 1000
"""Turns of loops, filters, and looks at a value, in one text."""

_NOT_SENT = re.compile("[\0\ud800-\udfff]")
_LEFT_OUT_TAGS = ("doc", "include", "render", "tablerow")  # of other templates, and of web pages


class _Missing(Undefined):
    """A name without a value."""

    force_liquid_default = True  # `default` asks for it

    def __str__(self) -> str:
        raise UndefinedError(self.name, token=self.token)

    def __len__(self) -> int:
        return len(str(self))

    def __int__(self) -> int:
        return len(str(self))

    def __iter__(self) -> Any:
        return iter(str(self))

    __hash__ = Undefined.__hash__


class _Context(RenderContext):
    """Knows the attributes, and what the text itself assigns."""

    __slots__ = ("_steps",)

    def __init__(self, template: BoundTemplate, **known: Any) -> None:
        super().__init__(template, **known)
        self.scope = _Scope(self.locals, self.globals, self.counters)
        self._steps = 0

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        self._step()
        return super().get(path, token=token, default=default)

    def filter(self, name: str, token: Token | None) -> Any:
        self._step()
        return super().filter(name, token)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Asked where a loop begins."""
        self._step(length)

    def get_buffer(self, _buf: TextIO | None = None) -> Any:
        return _Output()

    def _step(self, number: int = 1) -> None:
        self._steps += number
        if self._steps > MOST_STEPS:
            raise ResourceLimitError(f"The text takes more than {MOST_STEPS} steps to make.", token=None)


class _Scope(ReadOnlyChainMap):
    """The same, without an error for each mapping that does not have a name."""

    def __getitem__(self, key: str) -> object:
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        raise KeyError(key)


class _Output(NullIO):
    """What is written, as far as it may be sent."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._size = 0

    def write(self, part: str) -> int:
        self._size += len(part)
        if self._size > MOST_CHARACTERS:
            raise ResourceLimitError(f"The text has more than {MOST_CHARACTERS} characters.", token=None)
        self._parts.append(part)
        return len(part)

    def getvalue(self) -> str:
        return "".join(self._parts)


_make_range = RangeLiteral._make_range


def _make_short_range(self: RangeLiteral, start: Any, stop: Any) -> range:
    """python-liquid sets ranges no limit, and makes lists of them before a loop begins."""
    made = _make_range(self, start, stop)
    if made.stop - made.start > MOST_STEPS:
        raise ResourceLimitError(f"A range has more than {MOST_STEPS} numbers.", token=None)
    return made


RangeLiteral._make_range = _make_short_range  # type: ignore[method-assign]

_ENVIRONMENT = Environment(undefined=_Missing)
put_into_place(_ENVIRONMENT)
for _tag in _LEFT_OUT_TAGS:
    del _ENVIRONMENT.tags[_tag]


class LiquidText:
    """A text that is compiled. Raises Fault: it is none."""

    def __init__(self, text: str) -> None:
        self._template = _parse(text)
        analysis = self._template.analyze(include_partials=False)
        for name, spans in analysis.filters.items():
            if name not in _ENVIRONMENT.filters:
                raise Fault.at(text, spans[0].index, f"There is no filter “{name}”.")
        self.names = frozenset(analysis.globals)
        """The attributes that it asks for."""

    def render(self, values: Mapping[str, Value]) -> str | Unmade:
        """The text for who has these attributes."""
        output = _Output()
        try:
            context = _Context(self._template, globals=values)
            for node in self._template.nodes:
                _render(node, context, output)
        except UndefinedError as error:
            return missing(str(error.message))
        except ResourceLimitError as error:
            return Unmade(Reason.TOO_LONG, str(error.message))
        except LiquidError as error:
            return Unmade(Reason.MISSING_VALUE, f"A value does not fit: {error.message}.")
        except Exception as error:  # values that nobody has thought of: no reason to let other mailings down
            return Unmade(Reason.MISSING_VALUE, f"A value does not fit: {type(error).__name__}.")
        made = output.getvalue()
        if _NOT_SENT.search(made):
            return Unmade(Reason.MISSING_VALUE, "The text has characters that cannot be sent.")
        return made


def _render(node: Node, context: _Context, output: _Output) -> None:
    try:
        node.render(context, output)
    except LiquidInterrupt:  # `break` outside of a loop is nothing
        return


def _parse(text: str) -> BoundTemplate:
    try:
        return _ENVIRONMENT.from_string(text)
    except LiquidError as error:
        at = error.token.start_index if error.token else -1
        raise Fault.at(text, at if at >= 0 else _place(text), _sentence(error)) from error


def _place(text: str) -> int:
    """Of a fault that the parser gives no place: the first output that is wrong by itself; else it is seen at the
    end."""
    for output in _OUTPUT.finditer(text):
        try:
            _ENVIRONMENT.from_string(output[0])
        except LiquidError:
            return output.start()
    return len(text)


_OUTPUT = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def _sentence(error: LiquidError) -> str:
    said = str(error.message)
    return f"{said[:1].upper()}{said[1:].rstrip('.')}."
