"""What a new key must be like, whoever makes it."""

LONGEST_NAME = 64
MOST_DAYS = 36_500


def is_name(text: str) -> bool:
    """Whether it may be that of a key: whose it is."""
    return 1 <= len(text) <= LONGEST_NAME and text.isprintable()


def whole(text: str, least: int, most: int) -> int | None:
    """The number that it is; None: none of these."""
    if not text.isascii() or not text.isdecimal():
        return None
    number = int(text[:6])
    return number if least <= number <= most else None
