"""Phones as people write them: what each is taken for, or why it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_service.directory.files.phone_spellings import (
    DATE,
    EXACT,
    EXTENSION,
    FORMULA,
    LONGEST,
    LOST_DIGITS,
    MISSING_DIGIT,
    SEVERAL,
    SHAPE,
    TOO_NARROW,
    NotAPhone,
    is_phone,
    normalised,
)

ONE = "79123456789"
TAKEN = [
    *("79123456789", "89123456789", "9123456789", "+79123456789", "+7 912 345 67 89", "8 (912) 345-67-89"),
    *("8-912-345-67-89", "8.912.345.67.89", "7 (912) 345 67 89", "+7(912)3456789", "(912) 345-67-89", "912 345 67 89"),
    *("[8] 912 345 67 89", "8(912)345-67-89.", "(+7) 912 3456789", "+8 912 345 67 89", "8 912 345-6789"),
    *("tel:+79123456789", "TEL: +7-912-345-67-89", "тел. 8 912 345 67 89", "Тел.: +79123456789", "т.89123456789"),
    *("моб. 8-912-3456789", "callto:+79123456789", "sms:89123456789", "м. 9123456789"),
    *("79123456789.0", "79123456789,0", "79123456789.00", "89123456789.0", "9123456789.0", "+79123456789.0"),
    *("79 123 456 789", "79,123,456,789", "79'123'456'789", "79\u202f123\u202f456\u202f789", "79 123 456 789,00"),
    *("7.9123456789E+10", "7,9123456789E+10", "9.123456789e9"),
    *("'79123456789", "\u201979123456789", '="79123456789"', "='79123456789'", "=79123456789", '"79123456789"'),
    *(' ="8 912 345-67-89" ', '="+79123456789"', "`79123456789"),
    *(" 79123456789", "79123456789 ", "79123456789\t", "\n79123456789\r\n", "\xa079123456789", "79123456789\u3000"),
    *(
        "\ufeff79123456789",
        "\u202a+79123456789\u202c",
        "7912\u200b3456789",
        "7\xad9123456789",
        "\u200e89123456789\u200f",
    ),
    *("8\u2011912\u2011345\u201167\u201189", "8\u2013912\u2014345\u221267-89", "8\u2010912\uff0d345\ufe6367\u201589"),
    *("\uff17\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19", "\uff0b7\uff08912\uff093456789"),
    *("8\u00b7912\u00b7345\u00b767\u00b789", "79123456789,", "8 912 345-67-89 ; "),
]

REFUSED = {
    LOST_DIGITS: [
        "7.9E+10",
        "7,9E+10",
        "7,91235E+10",
        "7.9e10",
        "8E+10",
        "7,9Е+10",
        "+7.912E+10",
        "7.91234567891E+10",
        "1E999",
    ],
    TOO_NARROW: ["#######", "#"],
    MISSING_DIGIT: ["7912345678", "8912345678", "8 912 345 67 8", "7701234567"],
    EXTENSION: [
        *(
            "8 912 345 67 15 доб. 3",
            "89123456789 доб 3",
            "89123456789 (доб. 123)",
            "89123456789 вн. 5",
            "89123456789#12",
        ),
        *("+7 912 345-67-89 ext. 3", "+79123456789x12", "+79123456789 x 12"),
        *("tel:+79123456789;ext=12", "84951234567,доб.3"),
        *("8 495 123 45 67 внутренний 12", "8 (495) 123-45-67 добавочный № 12"),
    ],
    SEVERAL: [
        *("89123456789 89123456780", "+7 912 345-67-89  +7 912 345-67-80"),
        *("89123456789, 89123456780", "89123456789; 9123456780", "89123456789/89123456780"),
        *("89123456789\n89123456780", "89123456789 и 89123456780", "+79123456789 or +79123456780"),
    ],
    DATE: [
        *("2026-01-31", "31.01.2026", "31.01.26", "1/31/2026", "31-01-2026", "2026-01-31 09:00:00"),
        *("2026-01-31T09:00Z", "31.01.2026 9:00", "31.01.2026г."),
    ],
    FORMULA: [
        *("=A1", '=CONCATENATE("7";A2)', "=SUM(A1:A2)", '="7"&A1', "=7912345+1", "#REF!", "#N/A", "#Н/Д", "="),
        '=HYPERLINK("tel:79123456789")',
    ],
    SHAPE: [
        *("", " ", "8", "phone", "нет", "-", "912345678", "791234567890", "1234567890", "69123456789", "00000000000"),
        *("+375291234567", "+1 202 555 0123", "+9123456789", "++79123456789", "7+9123456789", "+84 91 234 56 78"),
        *("7912345678O", "79123456789 Анна", "79123456789a", "79123456789\0", "7912\x003456789", "79123456789\udcff"),
        *("\u0667\u0669123456789", "7912345678\u00b2", "79123456789.5", "79123456789.01", "1e", "e10", "7,9E+"),
        *("7" * (LONGEST + 1), "(" * 8192, " " * LONGEST + ONE, "9" * 8192, "=" * 8192, "+" * LONGEST),
        *("45000", "12:30"),
    ],
}


@pytest.mark.parametrize("spelling", TAKEN)
def test_taken(spelling: str) -> None:
    assert normalised(spelling) == ONE


@pytest.mark.parametrize(("reason", "spelling"), [(reason, one) for reason, some in REFUSED.items() for one in some])
def test_refused(reason: str, spelling: str) -> None:
    with pytest.raises(NotAPhone) as refused:
        normalised(spelling)
    assert str(refused.value) == reason
    assert not is_phone(spelling)


@given(st.text() | st.text("0123456789+-() .,=eE'\"#xдоб\u2011\xa0", max_size=120))
def test_anything_is_a_phone_or_is_not(cell: str) -> None:
    """And one that is taken has its ten last digits, and no others."""
    try:
        phone = normalised(cell)
    except NotAPhone:
        return
    assert EXACT.fullmatch(phone)
    assert normalised(phone) == phone


@given(st.from_regex("9[0-9]{9}", fullmatch=True), st.sampled_from(["7", "8", "+7", "", "+7 ", "tel:8"]), st.data())
def test_blanks_and_dashes_anywhere_say_nothing(ten: str, start: str, data: st.DataObject) -> None:
    between = st.text(" -.()\xa0\u2011\u2013\u200b", max_size=2)
    written = start + "".join(data.draw(between) + digit for digit in ten)
    assert normalised(written) == f"7{ten}"
