"""From the first row of a table to its columns, and to what separates them."""

from collections.abc import Iterable
from typing import Any

import pytest

from api_service.directory.files.column_names import likely, member
from api_service.directory.files.columns import MAX, Table, read
from api_service.directory.files.faults import NotTable
from api_service.directory.files.text_lines import Lines


def table(text: str | Iterable[str], *, strict: bool = False) -> Table:
    return read(Lines([text] if isinstance(text, str) else text), strict=strict)


def taken(text: str) -> list[str | None]:
    return [column.taken_as for column in table(text).columns]


SPELLINGS = {
    "phone": [
        *("phone", "Phone", "PHONE", " phone ", "\ufeffphone", "\u200bphone\xa0", "Phone number", "phone_number"),
        *("Phone-Number", "PHONE NUMBER:", "tel", "Tel.", "Telephone", "mobile", "Mobile phone", "cell", "MSISDN"),
        *("телефон", "Телефон", "ТЕЛЕФОН", "Номер телефона", "номер_телефона", "Тел.", "моб. тел."),
        *("Мобильный телефон", "Сотовый", "Контактный телефон", "Телефон *", "№ телефона", "Телефон №"),
        *("Номер телефона (моб.)", "Телефон (мобильный)", "Phone (mobile)", "Phone #", "Mobile No.", "Contact phone"),
        *("Phone 1 - Value", "Phone1", "Contact number", "Телефон 1", "Номер телефона клиента"),
        *("Теле\xadфон", "Теле\u200bфон", "pho\ufeffne", "Tелефон", "Тeлeфoн", "ТЕЛЕФOН", "рhоnе", "ｐｈｏｎｅ"),
        *("[phone]", "`phone`", "'phone'", "“phone”", "«Телефон»", "НомерТелефона", "МобильныйТелефон", "PhoneNumber"),
        *("№ тел.", "Телефон,", "Телефон переносной"),
    ],
    "operator_code": ["operator_code", "Operator code", "код оператора", "DEF-код", "OperatorCode", "Кoд oператора"],
    "tag": ["tag", "tаg", "TЕГ", "Mетка", "МЁТКА", "Tag", " TAG ", "label", "тег", "Тэг", "Метка", "Ярлык"],
    "timezone": [
        "timezone",
        "Time zone",
        "time_zone",
        "TZ",
        "часовой пояс",
        "Часовой  пояс",
        "таймзона",
        "TimeZone",
        "ЧасовойПояс",
    ],
    None: [
        "name",
        "Имя",
        "город",
        "phone 2",
        "Phone 1 - Type",
        "Phone 2 - Value",
        "телефон жены",
        "id",
        "тема",
        "оператор",
        "",
    ],
}


@pytest.mark.parametrize(("taken_as", "header"), [(one, header) for one, some in SPELLINGS.items() for header in some])
def test_names_are_known_however_they_are_spelled(taken_as: str | None, header: str) -> None:
    assert member(header) == taken_as


LIKELY = {
    "phone": [
        *("Рабочий телефон", "Телефон (раб.)", "Телефон покупателя", "clients.phone", "Phones", "Телефон для СМС"),
        *(
            "Контакт: Мобильный телефон",
            "Customer phone",
            "Тел. №1",
            "Business Phone",
            "Телефон +7",
            "Номер",
            "WhatsApp",
        ),
    ],
    "tag": ["Теги", "tags", "Метки", "Client tag"],
    "timezone": ["Часовой пояс клиента", "Time Zone (IANA)"],
    None: [
        "телефон жены",
        "Phone 2",
        "Домашний телефон",
        "Phone type",
        "Телефон/факс",
        "id",
        "Номер клиента",
        "labels",
        "7",
        "",
    ],
}


@pytest.mark.parametrize(("taken_as", "header"), [(one, header) for one, some in LIKELY.items() for header in some])
def test_names_of_more_words_are_likely(taken_as: str | None, header: str) -> None:
    assert likely(header) == taken_as


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("phone", ["phone"]),
        ("Phone, Tag ,Timezone", ["phone", "tag", "timezone"]),
        ("Телефон;Тег;Часовой пояс", ["phone", "tag", "timezone"]),
        ("phone\ttag", ["phone", "tag"]),
        ("tag|phone", ["tag", "phone"]),
        ('"phone","tag"', ["phone", "tag"]),
        ('"Телефон";"Имя, фамилия";"тег"', ["phone", "attributes.Имя, фамилия", "tag"]),
        ("Имя, отчество, фамилия;Телефон", ["attributes.Имя, отчество, фамилия", "phone"]),
        ("phone, Name ,\xa0Город\u200b", ["phone", "attributes.Name", "attributes.Город"]),
        ("phone,name,Name", ["phone", "attributes.name", "attributes.Name"]),
        ("phone,Kafe\u0301", ["phone", "attributes.Kaf\xe9"]),
        (",phone,,tag,", [None, "phone", None, "tag", None]),
        ("phone,\u200b,\xa0,tag", ["phone", None, None, "tag"]),
        ("sep=;\nphone;tag", ["phone", "tag"]),
        ("sep=,\r\nphone;x,tag", ["attributes.phone;x", "tag"]),
        ('"sep=\t"\nphone\ttag', ["phone", "tag"]),
        ("\n\r\n,,,\n ; ;\nphone,tag", ["phone", "tag"]),
        ('"Номер\r\nтелефона";"Имя,\r\nфамилия";Тег', ["phone", "attributes.Имя,\r\nфамилия", "tag"]),
        ('"Имя"\t"Номер\nтелефона"', ["attributes.Имя", "phone"]),
        ('phone,"name\nand surname"', ["phone", "attributes.name\nand surname"]),
        ("ID;Имя;Рабочий телефон;Теги", ["attributes.ID", "attributes.Имя", "phone", "tag"]),
        ("Рабочий телефон;Мобильный телефон", ["attributes.Рабочий телефон", "phone"]),
        ("Номер;Имя;Телефон", ["attributes.Номер", "attributes.Имя", "phone"]),
        ("Телефон;WhatsApp", ["phone", "attributes.WhatsApp"]),
        ("Номер;Имя", ["phone", "attributes.Имя"]),
        ("Номер;Телефон получателя", ["attributes.Номер", "phone"]),
        ("phone,tags,tag", ["phone", "attributes.tags", "tag"]),
        ("phone,tags,Теги", ["phone", "attributes.tags", "attributes.Теги"]),
        ("Имя, отчество;Телефон клиента", ["attributes.Имя, отчество", "phone"]),
        ("sep=\\t\nphone\ttag", ["phone", "tag"]),
        ("SEP= ;\nphone;tag", ["phone", "tag"]),
        ("sep=^\nphone^a,b", ["phone", "attributes.a,b"]),
        ('"phone,tag"', ["phone", "tag"]),
        ('"Телефон;""Имя; фамилия"""', ["phone", "attributes.Имя; фамилия"]),
        ('"Телефон, моб."', ["phone"]),
        ("\x1a\nphone\n\x1a", ["phone"]),
        ("phone,tag" + "," * 5000, ["phone", "tag", *[None] * (MAX - 2)]),
    ],
)
def test_what_columns_are_taken_for(header: str, expected: list[str | None]) -> None:
    if "phone" in expected:
        assert taken(header) == expected
        assert taken(header + "\r\n79123456789\r\n") == expected
    else:
        with pytest.raises(NotTable):
            table(header)


def test_headers_are_told_as_they_stand_in_the_file() -> None:
    assert table("ТЕЛЕФОН , Имя").columns == (("ТЕЛЕФОН ", "phone"), (" Имя", "attributes.Имя"))


def test_the_lines_behind_the_header_are_left() -> None:
    lines = Lines(['sep=;\n\n"phone";"a\nb"\n79123456789;c\n'])
    read(lines)
    assert (lines.number, lines.look()) == (5, "79123456789;c\n")


MISSING = "Missing column. One column has to be called phone, or телефон."
NO_HEADER = "Missing column. The first line has to name the columns, and there is a phone in it."
BELOW = "Missing column. The columns seem to be named on line {}: remove what stands above it."
FIRST = "The first line has to name the columns."
UNREADABLE = (
    "Cannot be read: it is in another encoding, or holds NUL characters. Save the table as UTF-8, or declare its"
    " encoding with charset=."
)
MEANT = "phone, or телефон, whose phones are meant."
NO_END = "which ends no line of a table; CR and LF do."
RENAME = "Rename one of them, or leave it out."
BOTH = f"phone and Телефон are both taken for phone. {RENAME}"


@pytest.mark.parametrize(
    ("header", "faults"),
    [
        ("", {"file": ["Is empty."]}),
        ("\n\r\n\r", {"file": ["Is empty."]}),
        (",,,\n;;\n", {"file": ["Is empty."]}),
        ("sep=;\n", {"file": ["Is empty."]}),
        ("tag\nvip", {"phone": [MISSING]}),
        ("Clients of May;;\n;;\nName;Телефон\nA;79123456789", {"phone": [BELOW.format(3)]}),
        ('# export\r"name",\n"name","phone"\n', {"phone": [BELOW.format(3)]}),
        ("a\n" * 21 + "phone\n", {"phone": [MISSING]}),
        ("Телефоны клиентов\nИмя;Телефон\n", {"phone": [BELOW.format(2)]}),
        ("Phone home;Customer phone", {"phone": [f"Missing column. Call that of Customer phone {MEANT}"]}),
        ("Номер;Phone home", {"phone": [f"Missing column. Call that of Номер {MEANT}"]}),
        ("Phones,Work tel", {"phone": [f"Missing column. Call that of Phones and Work tel {MEANT}"]}),
        ("\x1a", {"file": ["Is empty."]}),
        ("phone,tag\u202879123456789,a", {"tag\u202879123456789": [f"Holds U+2028, {NO_END}"]}),
        ("79123456789,vip", {"phone": [NO_HEADER]}),
        ("Анна;8 (912) 345-67-89", {"phone": [NO_HEADER]}),
        ("phone,phone", {"phone": [f"Is given twice. {RENAME}"]}),
        ("phone,tag,tag", {"tag": [f"Is given twice. {RENAME}"]}),
        ("phone,city, city ", {"city": [f"Is given twice. {RENAME}"]}),
        ("phone,Kafe\u0301,Kaf\xe9", {"Kaf\xe9": [f"Is given twice. {RENAME}"]}),
        ("phone,Телефон", {"phone": [BOTH], "Телефон": [BOTH]}),
        ("phone," + "n" * 65, {"n" * 64: ["A name has at most 64 characters."]}),
        ("phone,a\0b", {"a?b": [UNREADABLE]}),
        ("phone,a\udcff", {"a?": [UNREADABLE]}),
        ('"phone\n1,2', {"header": [f"{FIRST} A quotation mark opens a cell and is never closed."]}),
        ("phone," + ",".join(map(str, range(1500))), {"header": ["Has 1501 columns, and at most 1000 are read."]}),
        ("p" * 70_000, {"header": [f"{FIRST} Has more than 64 KiB."]}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_header(header: str, faults: dict[str, Any]) -> None:
    with pytest.raises(NotTable) as refused:
        table(header)
    assert refused.value.errors == faults


def test_strict() -> None:
    assert table("phone,tag,", strict=True).columns
    with pytest.raises(NotTable) as refused:
        table("phone,name,tag,city", strict=True)
    assert refused.value.errors == {name: ["Unknown column."] for name in ("name", "city")}


def test_rows_are_told_from_other_lines() -> None:
    found = table("tag;phone")
    assert found.is_row("a;79123456789")
    assert found.is_row('"a";"8 (912) 345-67-89"')
    for other in ("79123456789", "79123456789;a", "a;b", "a;79123456789;b", ""):
        assert not found.is_row(other)
    assert table("phone").is_row("79123456789")
    assert not table("phone").is_row("")
