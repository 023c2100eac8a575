"""The rules of addresses, made in no time."""

from collections.abc import Callable
from functools import cache
from typing import Any

from werkzeug.routing import Rule

Build = Callable[..., tuple[str, str]]


class LazyRule(Rule):
    """Werkzeug's, which compiles two functions for each rule, to build addresses from it: more than half of the time it
    takes to make an application. Here they are made when an address is built. A Werkzeug without this method makes them
    as it likes."""

    def _compile_builder(self, append_unknown: bool = True) -> Build:
        @cache
        def compiled() -> Build:
            return super(LazyRule, self)._compile_builder(append_unknown)

        def build(rule: Rule, /, **values: Any) -> tuple[str, str]:
            return compiled()(rule, **values)

        return build
