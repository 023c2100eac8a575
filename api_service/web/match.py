"""`If-Match` and `ETag`: a change is made to what whoever asks has seen, or not at all (RFC 9110, 13.1.1)."""

import re
from dataclasses import dataclass

from api_service.web.problems import Changed, Invalid

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\uffff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_ONE = re.compile(_TAG)


def etag(revision: int) -> str:
    return f'"{revision}"'


@dataclass(frozen=True, slots=True)
class Match:
    """tags: as they are written; a weak one matches nothing. None: whatever there is."""

    tags: frozenset[str] | None

    @staticmethod
    def parsed(header: str) -> "Match":
        """Raises Invalid."""
        if header.strip() == "*":
            return Match(None)
        if not _TAGS.fullmatch(header):
            sentence = 'Must be * or a list of entity tags such as "7", as the header ETag gave them.'
            raise Invalid({"If-Match": [sentence]}, place="headers")
        return Match(frozenset(_ONE.findall(header)))

    def check(self, revision: int) -> None:
        """Raises Changed."""
        if self.tags is not None and etag(revision) not in self.tags:
            raise Changed(f"It has been changed: its revision is {revision}.", ETag=etag(revision))
