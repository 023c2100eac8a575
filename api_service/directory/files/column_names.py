"""What the columns of a table are called: the members of a client by the names that people give them."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from shared.domain.text.shown import label

PHONE = "phone"
ATTRIBUTES = "attributes"
"""A column of that name has all of them, as an object in JSON."""

_NAMES: Mapping[str, Sequence[str]] = {
    PHONE: (
        *("phone", "phone number", "phone no", "tel", "telephone", "telephone number", "mobile", "mobile phone"),
        *("mobile number", "cell", "cell phone", "cellphone", "msisdn", "phonenumber", "mobilephone"),
        *("mobile no", "phone mobile", "cell number", "cell phone number", "mobile phone number", "contact phone"),
        *("contact number", "primary phone", "phone 1", "phone1", "phone 1 value"),
        *("телефон", "номер телефона", "тел", "моб", "моб телефон", "мобильный", "мобильный телефон"),
        *("мобильный номер", "номер мобильного", "номер мобильного телефона", "сотовый", "сотовый телефон"),
        *("контактный телефон", "телефон клиента", "телефонный номер", "номер тел", "моб тел", "сот тел"),
        *("телефоны", "телефона", "телефон мобильный", "телефон моб", "тел моб", "мобильный тел", "номер телефона моб"),
        *("номер телефона клиента", "телефон 1", "телефон1", "основной телефон", "номер моб", "номер сотового"),
        "телефон переносной",
    ),
    "operator_code": ("operator code", "operatorcode", "код оператора", "def код"),
    "tag": ("tag", "label", "тег", "тэг", "метка", "ярлык"),
    ATTRIBUTES: (ATTRIBUTES,),
    "timezone": ("timezone", "time zone", "tz", "часовой пояс", "часовая зона", "временная зона", "таймзона"),
}
"""English and Russian, in small letters, with single blanks between words, ё as е."""
_LONGEST = 64  # characters of a name that may be one of these
_PHONE_WORDS = (
    "phone phones tel telephone mobile cell cellphone msisdn whatsapp телефон телефоны тел моб мобильный сот сотовый"
)
_WORDS_THAT_SAY_LITTLE = (
    "client clients customer customers contact contacts user users person main primary personal work business no number"
    " value id iana sms клиент клиента клиентов покупателя заказчика получателя абонента контакт контакта контактный"
    " пользователя основной личный рабочий раб номер мобильного для смс 1 7"
)
_VAGUE = {
    "номер": PHONE,
    "number": PHONE,
    "whats app": PHONE,
    "tags": "tag",
    "теги": "tag",
    "тэги": "tag",
    "метки": "tag",
    "ярлыки": "tag",
}
"""These, and names of words of both kinds above, count where no column has a name of the first list."""
_BETWEEN_WORDS = re.compile(r"""[\s_.,:;*#№()/\[\]`'"«»“”+-]+""")
_INNER_CAPITAL = re.compile("(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])")
_UNSEEN = dict.fromkeys((0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF))
"""Marks within a word that nobody sees: where it may be broken, or not."""
_LOOK_ALIKE = str.maketrans("авекмнорстухіё", "abekmhopctyxie")
"""Small letters of Cyrillic, and those of Latin that look like them, or like their capitals."""


def _plainly(name: str) -> str:
    """What is the same to whoever reads it: in small letters, with single blanks between words, and with one letter for
    those that look the same, so that nobody has to know of which alphabet theirs is."""
    words = _BETWEEN_WORDS.sub(" ", label(name).translate(_UNSEEN))
    return unicodedata.normalize("NFKC", words).casefold().translate(_LOOK_ALIKE).strip()


_MEMBERS = {_plainly(name): member for member, names in _NAMES.items() for name in names}
_FURTHER = {name: member for name, member in _MEMBERS.items() if member != PHONE} | {
    _plainly(name): member for name, member in _VAGUE.items()
}
_OF_PHONES = frozenset(_plainly(_PHONE_WORDS).split())
_SAY_LITTLE = frozenset(_plainly(_WORDS_THAT_SAY_LITTLE).split())


def member(header: str) -> str | None:
    """What a column of that name is taken for; None: for an attribute, or for nothing."""
    if len(name := label(header)) > _LONGEST:
        return None
    return _MEMBERS.get(_plainly(name)) or _MEMBERS.get(" ".join(_words(name)))


def likely(header: str) -> str | None:
    """The same of a name that says it in more words, or less clearly, such as `Рабочий телефон`, `Номер` and `Теги`. It
    counts where no column has a better one."""
    words = _words(header)
    if not _OF_PHONES.isdisjoint(words):
        return PHONE if _OF_PHONES.union(_SAY_LITTLE).issuperset(words) else None
    return _FURTHER.get(" ".join([word for word in words if word not in _SAY_LITTLE] or words))


def tells_of_phones(header: str) -> bool:
    """Whoever they are of, and whatever it tells."""
    return not _OF_PHONES.isdisjoint(_words(header))


def _words(header: str) -> list[str]:
    name = label(header)
    return _plainly(_INNER_CAPITAL.sub(" ", name)).split() if len(name) <= _LONGEST else []
