"""Everything that a page may have to name has a name for people."""

from collections.abc import Iterable

import pytest

from api_service.console import names
from api_service.directory.progress import ImportState
from shared.domain.mailing import MailingState
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (names._STATES, MailingState),
        (names._STATUSES, MessageState),
        (names._ERRORS, [*Error, *Reason]),
        (names._IMPORT_STATES, ImportState),
    ],
)
def test_each_has_a_name(table: Iterable[str], members: Iterable[str]) -> None:
    assert set(table) == set(members)
