"""The service as it is with one more line in its list of states: `python -m tests.support.one_more_state URL`.

In a process of its own, on an empty database. A message gets the new state as any other gets its last one; what the
service then says of it, wherever a reader may look, is printed as JSON.
"""

# ruff: noqa: PLC0415  # what reads the list is imported once it has the line

import importlib.util
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import shared.domain

LIST = Path(shared.domain.__file__).with_name("message.py")
LINE = '    PARKED = "parked", Kind.FINAL, "left out on purpose"\n'


def add_the_line() -> None:
    """Before anything has read the list."""
    source, found = re.subn(r"(?m)^    SKIPPED = .*\n", lambda match: match[0] + LINE, LIST.read_text("utf-8"))
    assert found == 1
    name = "shared.domain.message"
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(source, str(LIST), "exec"), module.__dict__)
    shared.domain.message = module


def look(url: str) -> dict[str, Any]:
    from sqlalchemy import text

    from dispatcher_service.reporter import letter
    from sandbox.progress import Progress
    from sandbox.reckoning import Provider, Service, problems
    from shared.database.engine import make_engine
    from shared.database.models import Base
    from shared.database.parts import make_part
    from shared.domain.message import MOVES, OPEN_STATES, MessageState
    from shared.ledger import report
    from shared.ledger.figures import read_figures
    from shared.messages.close import close_messages
    from shared.messages.hints import settle_hints
    from tests.support.api import Api
    from tests.support.books import Books

    engine = make_engine(url, "one more state")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("insert into lanes (number) values (0)"))  # as the migrations do
        make_part(connection)
    books = Books(engine)
    mailing_id, ids = books.launched(3)
    parked = MessageState("parked")
    assert books.move(close_messages, mailing_id, parked, 2) == 2
    assert books.finish([mailing_id]) == []
    books.move(close_messages, mailing_id, MessageState.EXPIRED, 2)
    books.check()
    with engine.connect() as connection:
        ready = [one for one, _ in settle_hints(connection, [mailing_id])]
        figures = read_figures(connection, [mailing_id])[mailing_id]
        end = datetime.now(UTC)
        today = end.astimezone(ZoneInfo("UTC")).date()
        days = [report.read(connection, today - timedelta(days=age), ZoneInfo("UTC")) for age in (0, 1)]
    day = max(days, key=lambda one: one.finished)
    api = Api(engine)
    detail = api.get(f"/mailings/{mailing_id}/detail_statistics/?status=parked")
    service = Service(3, figures.states, {state: set() for state in MessageState} | {
        parked: set(ids[:2]), MessageState.EXPIRED: {ids[2]}
    })  # fmt: skip
    return {
        "reached from every open state": all(parked in MOVES[state] for state in OPEN_STATES),
        "left for none": sorted(MOVES[parked]),
        "ready to be finished": ready == [mailing_id],
        "finished": books.finish([mailing_id]) == [mailing_id],
        "figures": figures.states[parked],
        "statistics": api.get("/mailings/general_statistics/")["parked"],
        "statistics of the mailing": detail["parked"],
        "its messages": [message["status"] for message in detail["messages"]],
        "document": api.document()["components"]["schemas"]["Figures"]["properties"]["parked"]["description"],
        "report": day.figures.states[parked],
        "letter": [line.split() for line in letter.plain(day).splitlines() if "parked" in line],
        "page": "left out on purpose" in letter.html(day),
        "reckoning": problems(3, service, Provider(set(), 0, 0, 0, lambda _: True)),
        "progress": shown(Progress, figures.states),
    }


def shown(progress: Any, counts: Any) -> str:
    """The line of the sandbox's progress."""
    stream = io.StringIO()
    progress(stream).show(1.0, counts)
    return stream.getvalue()


if __name__ == "__main__":
    add_the_line()
    print(json.dumps(look(sys.argv[1])))
