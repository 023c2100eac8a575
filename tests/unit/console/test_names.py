"""Everything that a page may have to name has a name for people."""

import re
from collections.abc import Iterable

import pytest

from api_service.console import names
from api_service.directory.progress import ImportState
from api_service.mailings.rules import Action
from api_service.operations.provider_schema import ProviderState
from api_service.web.key import Scope
from shared.domain.mailing import MailingState
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import RECEIPTS, ReceiptState
from shared.domain.waiting import Waiting
from tests.support.command import ROOT


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (names.STATES, MailingState),
        (names.STATUSES, MessageState),
        (names.ERRORS, [*Error, *Reason]),
        (names._IMPORT_STATES, ImportState),
        (names._WAITING, Waiting),
        (names._PROVIDER_STATES, ProviderState),
        (names._SCOPES, Scope),
        (names._RECEIPTS, (*RECEIPTS, ReceiptState.AWAITING)),
    ],
)
def test_each_has_a_name(table: Iterable[str], members: Iterable[str]) -> None:
    assert set(table) == set(members)


def test_each_action_that_the_audit_knows_has_a_name() -> None:
    """They are known from where they are noted, each by its word."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "api_service").rglob("*.py"))
    noted = set(re.findall(r'\bnote\(\s*"(\w+)"', code)) | set(re.findall(r'\bChange\("(\w+)"', code))
    assert {"create", "rotate"} <= noted
    assert set(names._ACTIONS) >= noted | set(Action)
