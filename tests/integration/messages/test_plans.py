"""What each statement reads of a large part: what it has to, whatever is known about the tables.

Nobody has analysed anything. There are 400 parts, and a million messages in one of them.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, TextClause, event
from sqlalchemy.orm import Session

from api_service.tracking import in_common, store
from api_service.tracking.in_common import Common
from api_service.web.page import After, Page
from dispatcher_service.statements import modules
from shared.database.models import Mailing
from shared.database.parts import TABLES, make_part, table_of
from shared.domain.message import MessageState
from shared.ledger.entries import Entries
from shared.ledger.figures import Figures
from shared.messages import create_statement
from shared.messages.cancel import cancel_client
from shared.messages.find import find_message, read_history
from shared.messages.follow import follow_phone
from shared.messages.rescue import find_lost
from shared.retention import leftovers
from tests.support.books import Books
from tests.support.plans import explain, pages, touched

PARTS, MESSAGES = 400, 1_000_000
SOME = 200
"""Messages of a job; so many are asked for."""

MOST = 30 * SOME
"""Pages that a statement may touch for them: of the table and of all its indexes, old versions and new ones."""


@pytest.fixture(scope="module")
def million(books_engine: Engine) -> Engine:
    """A mailing to a million, half of which wait and are due, and a few of every other kind, in the last part."""
    books = Books(books_engine)
    books.empty()
    number = 1
    while number < PARTS:
        with books_engine.begin() as connection:  # one holds locks on all of its tables and indexes
            while (number := make_part(connection)) % 50:
                pass
    books.run("update parts set closed_at = now() where number < :last", last=PARTS)
    with books_engine.begin() as connection:  # as the owner of the parts
        for named in NAMED:
            connection.exec_driver_sql(f"alter table {named} set (autovacuum_enabled = off)")
    books.run(f"truncate {', '.join(NAMED)}")  # what was known of the first one, from tests before, is forgotten
    for table in ("clients", "mailings"):
        books.run(f"alter table {table} set (autovacuum_enabled = off)")
    books.clients(2_000)
    mailing_id = books.mailing()
    for first in range(1, MESSAGES, MESSAGES // 5):
        books.run(_WRITE, part=PARTS, mailing_id=mailing_id, first=first, last=first + MESSAGES // 5 - 1)
    books.run(
        """insert into attempts (message_id, part, number, at, error)
           select id, part, 1, now(), 'rejected' from messages where part = :part and id % 10 = 1""",
        part=PARTS,
    )
    books.place()
    books.mailing()
    return books_engine


_WRITE = """
    insert into messages (part, mailing_id, client_id, phone, status, due_at, claim_id)
    select :part, :mailing_id, n, 79000000000 + n, status::message_state,
           case when status in ('pending', 'sending', 'retrying') then now() end,
           case status when 'sending' then 1 end
    from generate_series(:first, :last) n cross join lateral (
        select case when n % 2 = 0 then 'pending' when n % 1003 = 0 then 'sending'
                    when n % 1007 = 0 then 'retrying' when n % 1009 = 0 then 'failed' else 'sent' end as status
    ) s order by n
"""

NAMED = {table_of(name, number) for name in TABLES for number in (1, PARTS)}
"""What a statement may be told to look at."""

_IDS = "{" + ",".join(map(str, range(1, 5 * SOME, 5))) + "}"
_WAITING = "{" + ",".join(map(str, range(2, 10 * SOME, 10))) + "}"
_ARRAY = "{" + ",".join(["1"] * SOME) + "}"
_ZEROS = "{" + ",".join(["0"] * SOME) + "}"

VALUES: dict[str, Any] = {
    "part": PARTS,
    "number": PARTS,
    "parts": f"{{1,{PARTS}}}",
    "part_0": PARTS,
    "part_1": 1,
    "mailing_id": 1,
    "mailing_ids": [1],
    "id": 77,
    "ids": _IDS,
    "client_id": 1001,
    "client_ids": _IDS,
    "reason": "opted_out",
    "phone": 79999999999,
    "limit": SOME,
    "state": "expired",
    "after": "sent",
    "zones": None,
    "claim_id": 1,
    "claims": _ARRAY,
    "calls": _ARRAY,
    "texts": ["Hello"] * SOME,
    "moments": "{" + ",".join(["null"] * SOME) + "}",
    "error": None,
    "ambiguous": False,
    "attempts": 10,
    "left_out": "{}",
    "openings": None,
    "lanes": "{0}",
    "lane": 0,
    "providers": _ARRAY,
    "codes": [],
    "routed": [],
    "routes": [],
    "limits": f"{{{SOME}}}",
    "due_ats": ["-infinity"],
    "most": SOME,
    "look": SOME,
    "shown": None,
    "spent": 1,
    "words": [None] * SOME,
    "within": 60,
    "afters": "{500000}",
    "lasts": "{1000000}",
    "mosts": f"{{{SOME}}}",
    "span": SOME,
    "first": 1_001,
    "last": 1_000 + SOME,
    "slice": SOME,
    "message_id": 77,
    "offset": 0,
    "format": "csv",
    "between": "\r\n",
    "status": None,
    "receipt": None,
    "test": False,
    "is_test": False,
    "times": ["2030-01-01"] * SOME,
    "states": "{" + ",".join(["delivered"] * SOME) + "}",
    "reasons": [None] * SOME,
    "provider": "gate",
    "references": [f"r-{number}" for number in range(SOME)],
    "until": "2030-01-01",
    "is_over": False,
    "all_open": False,
    "closed": "{}",
    **dict.fromkeys(("due_in", "wait", "lease", "delay", "pause"), timedelta(seconds=1)),
}
"""What is bound, by its name in any of the statements. A new name needs a value here."""

_JOB = {"id": 2, "part": PARTS, "state": "pending", "audience_cursor": 0, "audience_limit": 10_000, "lane": 0}
"""Of a slice of a launch."""

_TEN = [{**_JOB, "audience_cursor": 100 * number, "tags_1": [""]} for number in range(10)]
_OF_ALL = {name: create_statement._OF_ALL.values[name] for name in create_statement._OF_ALL.columns}
[_PARTS_OF_ALL] = create_statement._OF_ALL.values.keys() - _OF_ALL.keys()

_OF_RETRY = {"source": 1, "source_part": PARTS, "states": ["failed"], "after": 1_000, "limit": 2_000}

OTHERWISE: dict[str, dict[str, Any]] = {
    "shared.messages.claim._MOVE_AS_ASSIGNED": {"lanes": _ZEROS},
    "shared.messages.personal._LOCK_AS_ASSIGNED": {"lanes": _ZEROS},
    "shared.messages.stop._LOCK_AS_ASSIGNED": {"lanes": _ZEROS},
    "shared.messages.reroute._REROUTE": {"lane": 1},
    "shared.messages.create_statement._CREATE": {"jobs": json.dumps([_JOB])},
    "shared.messages.create_statement._CREATE_OF_TAGS": {"jobs": json.dumps(_TEN), "span": SOME // 10},
    "shared.messages.create_statement._CREATE_OF_IMPORTS": {
        "jobs": json.dumps([{**_JOB, "imports_1": [1], "took_2": [1]}])
    },
    "shared.messages.create_statement._CREATE_OF_ALL": {
        "jobs": json.dumps([{**_JOB, **_OF_ALL}]),
        _PARTS_OF_ALL: [PARTS],
    },
    "shared.ledger.breakdown._COUNT": {"ids": "{1}"},
    "shared.messages.export._OF_CLIENT": {"mailing_id": 2**63 - 1},
    "shared.messages.export._OF_MAILING": {"after": 1_000},
    "shared.messages.find._HISTORY": {"behind_0": 2**63 - 1, "behind_1": 2**63 - 1},
    "shared.messages.export._OF_PERSONAL": {"after": 1_000},
    "shared.messages.retime._RETIME": {"ids": _WAITING},  # as it has read before
    "shared.messages.wake._WAKE": {"after": None},
    "shared.messages.try_out._CREATE": {"mailing_id": 2},
    "shared.messages.try_out._READ": {"mailing_ids": "{1,2}", "firsts": "{501,777}", "lasts": "{505,781}"},
    "shared.ledger.check._COUNT": {"ids": "{1}"},
    "shared.ledger.check._COUNT_RECEIPTS": {"ids": "{1}"},
    "shared.messages.references._KEEP": {
        "parts": "{" + ",".join([str(PARTS)] * SOME) + "}",
        "providers": ["gate"] * SOME,
    },
    "shared.messages.create_retry._ZONES": _OF_RETRY,
    "shared.messages.create_retry._CREATE": {**_OF_RETRY, "errors": [], "others": [], "other_parts": [400]},
}


_NAMES = re.compile(r"\b(from|join|update|into|using)\s+(messages|attempts|receipts|message_references)\b")


def _statements() -> Iterator[Any]:
    """All that name messages or what belongs to them, each once."""
    seen = set[str]()
    for module in modules():
        for name, statement in vars(module).items():
            if isinstance(statement, TextClause) and _NAMES.search(statement.text) and statement.text not in seen:
                seen.add(statement.text)
                yield pytest.param(f"{module.__name__}.{name}", statement, id=f"{module.__name__}.{name}")


def assert_cheap(connection: Connection, statement: str | TextClause, values: Any, allowed: int = MOST) -> None:
    """Carries it out; the caller takes it back."""
    plan, said = explain(connection, statement, values)
    for relation, way in touched(plan):
        if relation.startswith(TABLES) and way != "ModifyTable":
            assert relation in NAMED, said
            assert way in {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, said
    assert pages(plan) <= allowed, said
    # What is not locked was left out when it was planned.
    cursor = connection.connection.cursor()
    cursor.execute("""
        select distinct relname from pg_locks l join pg_class c on c.oid = l.relation
        where pid = pg_backend_pid() and relispartition and relkind = 'r'
    """)
    assert {name for (name,) in cursor.fetchall()} <= NAMED


@pytest.mark.parametrize(("name", "statement"), list(_statements()))
def test_every_statement_reads_its_part_by_its_keys_and_no_other_one(
    million: Engine, name: str, statement: TextClause
) -> None:
    values = VALUES | OTHERWISE.get(name, {})
    used = statement.compile().params
    missing = used.keys() - values.keys()
    assert not missing, f"a value for {missing} is to be given in VALUES, so that {name} can be looked at"
    with million.connect() as connection:
        if statement is leftovers._DELETE:
            connection.execute(leftovers._BY_INDEX)  # as it always is
        assert_cheap(connection, statement, {one: values[one] for one in used})
        connection.rollback()


PACKAGES = ("api_service", "dispatcher_service", "shared")
ROOT = Path(__file__).parents[3]
SOURCES = [path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if "migrations" not in path.parts]


def test_no_statement_is_left_out() -> None:
    """One that stands elsewhere, or inside of a function, is neither printed nor looked at here."""
    looked_at = "\n".join(param.values[1].text for param in _statements())
    left_out = [(path.name, said) for path in SOURCES for said in _said(path) if said not in looked_at]
    assert not left_out


def _said(path: Path) -> Iterator[str]:
    """Pieces of statements that name messages or attempts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node in prose:
            continue
        if _NAMES.search(node.value):
            yield node.value


def test_who_asks_without_statements_of_their_own_is_known() -> None:
    """What it asks is in CALLS below."""
    imports = re.compile(r"models import [^\n]*\b(Message|Attempt)\b")
    assert [path.name for path in SOURCES if imports.search(path.read_text(encoding="utf-8"))] == [
        "in_common.py",
        "store.py",
    ]


Call = Callable[[Connection], Any]


def _page(status: MessageState | None, number: int) -> Call:
    def read(connection: Connection) -> Any:
        with Session(connection) as session:
            mailing = session.get_one(Mailing, 1)
            states = dict.fromkeys(MessageState, 1_000) | {MessageState.SENT: 500_000, MessageState.PENDING: 490_000}
            figures = Figures(audience=MESSAGES, states=states)
            return store.list_messages(session, mailing, status, figures, Page(number, 100)).rows

    return read


def _in_common(common: Common) -> Call:
    def read(connection: Connection) -> Any:
        with Session(connection) as session:
            return in_common.walk_messages(session, session.get_one(Mailing, 1), common, After(0, 100))

    return read


CALLS: dict[str, Call] = {
    "one message": lambda connection: find_message(connection, 777_777),
    "a client's history": lambda connection: read_history(connection, 777_777, 1),
    "leases that ran out": lambda connection: find_lost(connection, SOME),
    "a phone that changes": lambda connection: follow_phone(connection, 1_002, 79999999999) or True,
    "a client who goes": lambda connection: cancel_client(connection, Entries(), 1_002) or True,
    "a page of all": _page(None, 3),
    "the last page": _page(None, 10_000),
    "a page of a rare state": _page(MessageState.FAILED, 2),
    "a page of what is sent": _page(MessageState.SENT, 2),
    "a page of an error": _in_common(Common(error="rejected")),
    "a page of a receipt": _in_common(Common(receipt="delivered")),
}


@pytest.mark.parametrize("what", CALLS)
def test_what_asks_several_statements_reads_no_other_part_either(million: Engine, what: str) -> None:
    """Which parts are in question is found out first, and named then."""

    def look(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if _NAMES.search(statement.lower()):
            assert_cheap(connection, statement, values)

    with million.connect() as connection:
        event.listen(million, "before_cursor_execute", look)
        try:
            assert CALLS[what](connection)
        finally:
            event.remove(million, "before_cursor_execute", look)
        connection.rollback()
