"""Rules build the addresses that Werkzeug's own build, and nothing is compiled before."""

import pytest
from werkzeug.routing import Map, Rule

from api_service.web.rule import LazyRule


def _build(kind: type[Rule], **values: object) -> str:
    rules = Map([kind("/clients/<int:id>/<path:rest>", endpoint="one", defaults={"rest": "all"})])
    return rules.bind("localhost").build("one", values)


@pytest.mark.parametrize(
    "values", [{"id": 7}, {"id": 7, "tag": "a b/ü"}, {"id": 7, "page": "2 & 3", "tag": ["a", "b"]}]
)
def test_it_builds_what_werkzeug_builds(values):
    assert _build(LazyRule, **values) == _build(Rule, **values)


def test_nothing_is_compiled_before_an_address_is_built(monkeypatch):
    compiled = []
    compile_builder = Rule._compile_builder
    monkeypatch.setattr(Rule, "_compile_builder", lambda *given: compiled.append(given) or compile_builder(*given))

    address = Map([rule := LazyRule("/clients/<int:id>/", endpoint="one")]).bind("localhost")
    assert address.match("/clients/7/") == ("one", {"id": 7})
    assert not compiled
    assert [address.build("one", {"id": n}) for n in (7, 8)] == ["/clients/7/", "/clients/8/"]
    assert compiled == [(rule, True)]
