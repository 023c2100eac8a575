"""`python -m shared.recover --since …` on a database of its own; tests/e2e/test_restore.py has all of the service."""

from datetime import timedelta

import psycopg2
import pytest
from sqlalchemy import Engine

from shared import recover
from shared.database.lead import DISPATCHER
from tests.support.books import HOUR, Books


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


def test_a_dispatcher_that_is_started_meanwhile_is_told_of(
    books: Books, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have sent what was still open: so nothing is on record yet, and the next run goes through all of it."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    mailing_id, _ = books.launched(3)
    since = (books.now() - HOUR).isoformat()
    monkeypatch.setattr(recover.Recovery, "give_up_launched_since", lambda _: started.append(_start(database_url)))
    started: list[psycopg2.extensions.connection] = []
    with pytest.raises(SystemExit, match="Dispatchers were started meanwhile"):
        recover.main(["--since", since])
    started[0].close()
    monkeypatch.undo()
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert books.states(mailing_id) == {"unknown": 3}
    late, _ = books.launched(2)
    recover.main(["--since", since])
    assert "already" not in capsys.readouterr().out
    assert books.states(late) == {"unknown": 5}
    books.launched(1)
    recover.main(["--since", since])
    assert "already" in capsys.readouterr().out


def test_a_lapse_that_ended_later_than_was_said_is_recovered_from(
    books: Books, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    mailing_id, ids = books.launched(2)
    now = books.now()
    books.run("update messages set due_at = now() - interval '10 minutes' where id = :id", id=ids[0])
    since, early = (now - HOUR).isoformat(), (now - timedelta(minutes=5)).isoformat()
    recover.main(["--since", since, "--until", early])
    assert books.states(mailing_id) == {"unknown": 1, "pending": 1}
    recover.main(["--since", since, "--until", early])
    assert "already" in capsys.readouterr().out
    recover.main(["--since", since, "--until", books.now().isoformat()])
    assert books.states(mailing_id) == {"unknown": 2}


def _start(url: str) -> psycopg2.extensions.connection:
    """A session as a dispatcher has one."""
    return psycopg2.connect(url, application_name=DISPATCHER)
