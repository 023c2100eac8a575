"""Whatever stands in a file of providers: it is read, or its faults are told; nothing else happens."""

import tomllib
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.profile.document import DocumentError, read_document
from shared.domain.profile.lines import lines_of
from shared.domain.profile.provider import Limits
from shared.domain.profile.template import parse
from shared.providers.presets import presets

NAMES = st.sampled_from(
    ["url", "preset", "form", "json", "query", "headers", "rules", "status", "path", "is", "type", "pattern", "outcome",
     "limits", "validity", "senders", "secrets", "values", "reference", "basic", "alphabet", "routing", "a-b", '"a b"',
     "'x'", "method", "receipts"]
)  # fmt: skip
VALUES = st.recursive(
    st.sampled_from(
        [
            '"{phone} {text}"',
            "'{id:number}'",
            '"https://x.example"',
            '"POST"',
            '"twilio"',
            '"accepted"',
            "200",
            "1.5",
            "true",
            '"""a\n# no\nb"""',
            "'''x\n]'''",
            '"a\\"]"',
            "2026-11-30",
            '"("',
            '"env:X"',
            '"{"',
            "[]",
            "{}",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ",\n ".join(items) + "]")
        | st.lists(st.tuples(NAMES, inner), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: "{ " + ", ".join(f"{name} = {value}" for name, value in pairs) + " }"
        )
    ),
    max_leaves=6,
)
LINES = st.one_of(
    st.tuples(NAMES, VALUES).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.tuples(NAMES, NAMES, VALUES).map(lambda parts: f"{parts[0]} . {parts[1]} = {parts[2]} # [x]"),
    NAMES.map(lambda name: f"[providers.own.{name}]"),
    NAMES.map(lambda name: f"[[providers.own.{name}]]"),
    st.sampled_from(["", "# [a]", "[providers.other]"]),
)


@given(st.lists(LINES, max_size=8))
def test_a_document_is_read_or_its_faults_are_told(lines: list[str]) -> None:
    text = "\n".join(["[providers.own]", *lines])
    with suppress(ValueError):
        document = tomllib.loads(text)
        places = lines_of(text)
        assert all(0 < line <= text.count("\n") + 1 for line in places.values())
        assert {("providers", name) for name in document["providers"]} <= places.keys()
    with suppress(DocumentError):
        read_document(text, presets(), Limits())


@given(st.text(max_size=60))
def test_any_text_is_read_or_its_faults_are_told(text: str) -> None:
    with suppress(DocumentError):
        read_document(text, presets(), Limits())


@given(st.text(alphabet="{}abc:id", max_size=30))
def test_a_template_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        parse(text)
