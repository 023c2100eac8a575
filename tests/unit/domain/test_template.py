"""Personal texts: what is made of them, what is refused when they are saved, and what no text can do."""

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.reason import Reason
from shared.domain.text.fault import Fault
from shared.domain.text.liquid_text import MOST_STEPS, LiquidText
from shared.domain.text.placeholders import Placeholders
from shared.domain.text.template import compiled, find_fault, is_template, render
from shared.domain.text.unmade import Unmade

ANNA: dict[str, Any] = {"name": "Anna", "points": 12, "rate": 0.5, "vip": True, "gone": False, "имя": "Анна"}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Hello {{ name }}!", "Hello Anna!"),
        ("{{name}}{{ points }}{{rate}}{{ vip }}{{ gone }}", "Anna120.5truefalse"),
        ("{{ имя }}", "Анна"),
        ("{{ nobody | default: 'friend' }}", "friend"),
        ('{{ gone | default: "no" }}', "no"),
        ("{{ points | default: '0' }}", "12"),
        ("a } b {x} {{ name }} }}", "a } b {x} Anna }}"),
        ("{% if nobody %}a{% else %}b{% endif %}", "b"),
        ("{% if points > 10 %}rich{% endif %}{% if nobody > 10 %}?{% endif %}", "rich"),
        ("{% unless gone %}here{% endunless %}", "here"),
        ("{% case name %}{% when 'Anna' %}A{% else %}?{% endcase %}", "A"),
        ("{{ name | upcase | append: '!' }}", "ANNA!"),
        ("{% assign sum = points | plus: 1 %}{{ sum }}", "13"),
        ("{{ ['name'] }}", "Anna"),
        ("{{- name -}} !", "Anna!"),
        ("{% raw %}{{ name }}{% endraw %}", "{{ name }}"),
        ("{{ '2026-03-08' | date: '%d.%m.%Y' }} {{ '2026-03-08T09:05+03:00' | date: '%e.%m %H:%M' }}",
         "08.03.2026 8.03 09:05"),
        ("{% for i in (1..3) %}{{ i }}{% endfor %}", "123"),
    ],
)  # fmt: skip
def test_what_is_made(text: str, made: str) -> None:
    assert is_template(text)
    assert find_fault(text) is None
    assert render(text, ANNA) == made


@pytest.mark.parametrize("text", ["Hello", "a { b }", "}} {", "{ {name} }", ""])
def test_a_text_without_marks_is_no_template(text: str) -> None:
    assert not is_template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ nobody }}",
        "{% if true %}{{ nobody }}{% endif %}",
        "{{ nobody | upcase }}",
        "{{ nobody | plus: 1 }}",
        "{{ points | plus: nobody }}",
        "{{ nobody | size }}",
        "{% for i in nobody %}{% endfor %}",
        "{% for i in (1..nobody) %}{% endfor %}",
        "{{ name.first_letter }}",
        "{{ nobody | default: nobody_else }}",
    ],
)
def test_a_name_without_a_value_is_a_value_that_is_missing(text: str) -> None:
    made = render(text, ANNA)
    assert isinstance(made, Unmade)
    assert made.reason is Reason.MISSING_VALUE


# Nothing is known to a text but the attributes.
@pytest.mark.parametrize(
    "text",
    [
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ name.__init__.__globals__ }}",
        "{{ points.real }}",
        "{{ points.bit_length }}",
        "{{ name.upper }}",
        "{{ self }}",
        "{{ now }}",
        "{{ today }}",
        "{{ partial }}",
        "{{ template }}",
        "{{ __builtins__ }}",
        "{% for i in (1..2) %}{{ forloop.__class__ }}{% endfor %}",
        "{% for i in (1..2) %}{{ forloop.it }}{% endfor %}",
    ],
)
def test_nothing_of_python_is_reached(text: str) -> None:
    assert isinstance(render(text, ANNA), Unmade)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{{ name", "Line 1, column 1: Expected '}}', found end of file."),
        ("one\ntwo {{ name | upcas }}", "Line 2, column 15: There is no filter “upcas”."),
        ("one\n{% if a %}", "Line 2, column 11: Expected tag endif, found end of expression."),
        ("x {{ }}", "Line 1, column 3: Expected a primitive expression, found end of expression."),
        ("{{ a b }}", "Line 1, column 6: Expected end of expression, found word."),
        ("{% wrong %}", "Line 1, column 4: Unexpected tag 'wrong'."),
        ("{% include 'x' %}", "Line 1, column 4: Unexpected tag 'include'."),
        ("{% render 'x' %}", "Line 1, column 4: Unexpected tag 'render'."),
        ("{{ a | base64_decode }}", "Line 1, column 8: There is no filter “base64_decode”."),
        ("{{ a | date: 'now' | strip_html }}", "Line 1, column 22: There is no filter “strip_html”."),
        ("{{{ name }}", "Line 1, column 3: Unexpected '{'."),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, fault: str) -> None:
    assert find_fault(text) == fault


BIG = "ab " * 333
HOSTILE = [
    "{" * 2000,
    "{{" * 1000,
    "{{ " * 666,
    "{%" * 1000,
    "{{" + " " * 1996 + "}}",
    "{%" + "a" * 1998,
    "{{}}" * 500,
    "{% raw %}" * 222,
    "{% if a %}" * 200,
    "{{ a" + "[" * 1990,
    "{{ " + "a[" * 480 + "a" + "]" * 480 + " }}",
    "{% if " + "a and " * 320 + "a %}x{% endif %}",
    "{% if " + "(" * 1980 + " %}",
    "{{ a" + " | upcase" * 200 + " }}",
    "{% for i in (1..1000000000000) %}{% endfor %}",
    "{% for i in (1..1000000000000) reversed %}{% endfor %}",
    "{% for i in (1..999) %}{% for j in (1..999) %}{% for k in (1..999) %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in (1..40) %}" + "{{ a | split: ' ' | sort | uniq | join | size }}" * 38 + "{% endfor %}",
    "{% for i in (1..90) %}" + "{% if a contains 'zz' %}{% endif %}" * 50 + "{% endfor %}",
    "{% assign x = 9 %}{% for i in (1..300) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
    "{% capture x %}{{ a }}{% endcapture %}" + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 40,
    "{{ (1..1000000000000) | join }}",
    "{% if (1..1000000000000) contains 'x' %}{% endif %}",
    "{{ a | replace: '', a | replace: '', a | replace: '', a }}",
    "{{ a | slice: 0, 99999999999999999999999 }}{{ a | truncate: 99999999999999999999999 }}",
    "{{ '" + "9" * 1900 + "' | plus: 1 }}",
    "{{ " + "9" * 1900 + " | times: 9 }}",
    "{{ '1e999999999' | plus: 1 }}{{ '1e400' | ceil }}{{ 'nan' | floor }}",
    "{{ 1 | round: 99999999999 }}{{ 1.5 | round: 99999999999 }}",
    "{{ a | date: '%999999999d' }}{{ '2026-01-01' | date: '%999999999Y' }}",
    "{{ a | default: a: 1 }}{{ a | upcase: 1, 2, 3 }}",
    "{% cycle a: a, a %}{% increment a %}{% break %}{% continue %}",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_takes_long_or_much_whatever_it_is_given(text: str) -> None:
    """A second: what it takes is milliseconds; what has no limit takes minutes, or all there is of memory."""
    began = time.process_time()
    find_fault(text)
    for value in (BIG, "\u202e\u2066\x07\x1b[2J" * 100, 2**53 - 1, -0.0, True, "1"):
        made = render(text, {"a": value})
        if not isinstance(made, Unmade):
            assert len(made) <= 2000
    assert time.process_time() - began < 3
    assert compiled.cache_info().currsize <= 1000


def test_what_reaches_a_limit_for_everybody_is_refused_when_it_is_saved() -> None:
    loop = f"{{% for i in (1..{MOST_STEPS + 1}) %}}{{% endfor %}}x"
    assert find_fault(loop) == f"Cannot be sent to anybody: A range has more than {MOST_STEPS} numbers."
    assert find_fault(loop.replace(str(MOST_STEPS + 1), "n")) is None


@pytest.mark.parametrize(
    "value", ["\u202eabc", "a\x07b\x1b[0m", "x" * 1000, "a\r\nb", "{{ name }}", "é\u0301", "👨‍👩‍👧"]
)
@pytest.mark.parametrize("text", ["<{{ v }}>", "{% if true %}<{{ v }}>{% endif %}"])
def test_a_value_is_taken_as_it_is(text: str, value: str) -> None:
    assert render(text, {"v": value}) == f"<{value}>"


def test_what_cannot_be_sent_is_not_made() -> None:
    """No filter gives one; whatever comes to give one, the database takes none."""
    assert isinstance(render("{% if true %}{{ v }}{% endif %}", {"v": "a\0b"}), Unmade)


def test_plain_placeholders_are_compiled_by_ourselves() -> None:
    assert isinstance(compiled("{{ a }} {{имя|default:'x'}}"), Placeholders)
    for more in ("{{ a | upcase }}", "{{- a }}", "{{ a.b }}", "{{ nil }}", "{% if a %}{% endif %}"):
        assert isinstance(compiled(more), LiquidText)


def test_a_text_says_which_attributes_it_asks_for() -> None:
    assert names("{{ a }} {{ b | default: 'x' }}") == {"a", "b"}
    liquid = "{% assign x = a %}{{ x }}{% if b %}{{ c | append: d }}{% endif %}{% for i in (1..e) %}{{ i }}{% endfor %}"
    assert names(liquid) == {"a", "b", "c", "d", "e"}


def names(text: str) -> frozenset[str]:
    template = compiled(text)
    assert not isinstance(template, Fault)
    return template.names


NAMES = ["name", "points", "rate", "vip", "gone", "nobody", "имя", "a-b", "n1", "empty", "blank", "nil", "1a"]
OUTPUTS = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["", " ", "  ", "\n"]),
    st.sampled_from(["", "| default: '{}'", '|default:"{}"', "| default : '{}'"]),
    st.text(st.sampled_from("ab |:я-"), max_size=4),
).map(lambda four: f"{{{{{four[1]}{four[0]}{four[1]}{four[2].format(four[3])}{four[1]}}}}}")
PIECES = st.one_of(st.text(st.sampled_from("ab {}%|'\"\n-я"), max_size=5), OUTPUTS, OUTPUTS)
VALUES = st.dictionaries(
    st.sampled_from(["name", "points", "rate", "vip", "gone", "имя", "a-b", "n1", "empty", "1a"]),
    st.one_of(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(-(2.0**53), 2.0**53, allow_nan=False),
    ),
)


@given(st.lists(PIECES, max_size=6).map("".join), VALUES)
def test_plain_placeholders_are_what_liquid_makes_of_them(text: str, values: dict[str, Any]) -> None:
    plain = Placeholders.of(text)
    if plain is None:
        return
    liquid = LiquidText(text)
    made, expected = plain.render(values), liquid.render(values)
    assert plain.names == liquid.names
    assert made == expected or (isinstance(made, Unmade) and isinstance(expected, Unmade))
    if isinstance(made, Unmade):
        assert made == expected


@given(st.text(st.sampled_from("ab{}%|:'\"\n -.()[]1=<>,"), max_size=60), VALUES)
def test_no_text_raises(text: str, values: dict[str, Any]) -> None:
    fault, made = find_fault(text), render(text, values)
    assert isinstance(fault, str | None)
    assert isinstance(made, str | Unmade)


@pytest.mark.parametrize("program", ["api_service.app", "dispatcher_service.__main__"])
def test_no_program_loads_liquid_before_a_text_asks_for_it(program: str) -> None:
    """It is a fifth of what a dispatcher loads."""
    said = subprocess.run(
        [sys.executable, "-c", f"import sys, {program}; print('liquid' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "False\n"
