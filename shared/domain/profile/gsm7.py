"""Which texts fit into the alphabet GSM-7 (3GPP TS 23.038, tables 6.2.1 and 6.2.1.1). Pure."""

from functools import lru_cache

_SIGNS = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà\f^{}\\[~]|€"
)


@lru_cache(maxsize=256)
def is_gsm7(text: str) -> bool:
    """Whether all of it can be written so; else it goes out in UCS-2."""
    return _SIGNS.issuperset(text)
