"""The API of a test: the application over a real database, asked without a server between.

Every answer is held against the API's own document, and every error against the one shape that errors have.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, text

from api_service.app import create_app
from api_service.operations.probe import Probe
from shared.domain.digests import Digests
from shared.ledger.entries import open_entries
from shared.ledger.figures import find_unbalanced
from shared.messages.create import create_messages
from tests.support.superuser import superuser

Json = Any

HOUR = timedelta(hours=1)
DIGESTS = Digests({1: b"a key that only these tests have, and nobody else"})

_LISTS: Json = {"operator_codes": [], "tags": [], "timezones": [], "attributes": {}, "segments": [], "imports": []}
EVERYONE: Json = _LISTS | {"exclude": _LISTS | {"mailings": []}}
"""A filter that chooses everybody, as it is answered."""


_documents: dict[bool, Json] = {}


class Answer:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def total(self) -> int:
        return int(json.loads(self.headers["X-Pagination"])["total"])

    @property
    def at_fault(self) -> set[str]:
        """The fields that an error answer names, at the top of the body or the query."""
        return {name for place in self.json["errors"].values() for name in place}


class Api:
    """`announced`: ids of the mailings that the dispatchers were told of."""

    def __init__(self, engine: Engine, **more: Any) -> None:
        self.engine = engine
        self.announced: list[int] = []
        probes = more.pop("probes", {"database": Probe("d", bool)})
        self.app: Flask = create_app(engine, self, probes, **{"chores": False, "digests": DIGESTS, **more})
        self._with_keys = bool(more.get("auth"))

    def announce(self, mailing_id: int) -> None:
        self.announced.append(mailing_id)

    def __call__(self, method: str, path: str, body: Json = None, **request: Any) -> Answer:
        """body: sent as JSON; `data` and `content_type` for anything else."""
        if body is not None:
            request |= {"data": json.dumps(body), "content_type": "application/json"}
        http: FlaskClient = self.app.test_client()
        response = http.open(path, method=method, **request)
        answer = Answer(response.status_code, dict(response.headers), response.data)
        response.close()
        self._check(method, path, answer)
        return answer

    def get(self, path: str) -> Json:
        answer = self("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def make(self, path: str, body: Json) -> Json:
        answer = self("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.json

    def launch(self, mailing_id: int) -> int:
        """What the feeder does when a mailing starts; the number of messages."""
        with self.engine.begin() as connection, open_entries(connection, 1) as entries:
            return create_messages(connection, entries, mailing_id, 1000).count

    def execute(self, sql: str, **values: Any) -> Any:
        """What a superuser does; the first column of the first row, if the statement has rows."""
        with superuser(self.engine) as connection:
            rows = connection.execute(text(sql), values)
            return rows.scalar() if rows.returns_rows else None

    def contents(self) -> Json:
        """Everything that is stored."""
        with self.engine.connect() as connection:
            return {table: _rows(connection, table) for table in ("clients", "segments", "mailings", "messages")}

    def assert_balanced(self) -> None:
        with self.engine.connect() as connection:
            assert find_unbalanced(connection) == []

    def document(self) -> Json:
        """Made once: it says the same of every application with keys, and of every one without."""
        if self._with_keys not in _documents:
            _documents[self._with_keys] = json.loads(self.app.test_client().get("/openapi.json").data)
        return _documents[self._with_keys]

    def _check(self, method: str, path: str, answer: Answer) -> None:
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/json"
            assert {name: type(value) for name, value in answer.json.items()} == {
                "type": str,
                "code": int,
                "status": str,
                "message": str,
                "errors": dict,
            }
            assert answer.json["code"] == answer.status
            assert answer.json["message"]
        operation = self._operation(method, path)
        assert operation is None or str(answer.status) in operation["responses"], f"{answer.status} is not documented"

    def _operation(self, method: str, path: str) -> Json:
        with self.app.test_request_context(path, method=method) as context:
            rule = context.request.url_rule
        found = rule and rule.rule.replace("<id:", "{").replace(">", "}")
        return self.document()["paths"].get(found, {}).get(method.lower())


def _rows(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(f"select * from {table} order by id"))]


def from_now(delta: timedelta) -> str:
    return (datetime.now(UTC) + delta).isoformat()


def mailing(**values: Any) -> dict[str, Any]:
    """The body of a mailing that starts in an hour and lasts one, unless said otherwise."""
    return {"text": "Hello", "starts_at": from_now(HOUR), "ends_at": from_now(2 * HOUR), **values}


def running(**values: Any) -> dict[str, Any]:
    """The body of a mailing that has started."""
    return mailing(starts_at=from_now(-HOUR), **values)
