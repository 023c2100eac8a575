"""`Idempotency-Key`: a request that is sent again under the same key is carried out once, and answered the same.

The key is claimed by a row, and by a lock that lasts as long as the transaction that does the work; the answer is kept
by the same commit. So there is no moment at which the work is done and the answer lost, and whatever changed nothing
leaves nothing behind.
"""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress

from flask import Response, g
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.expression import bindparam

from api_service.web import upload
from api_service.web.chore import Chore
from api_service.web.parts import asked, parts, working
from api_service.web.problems import InProgress, Invalid, KeyReused
from api_service.web.work import Act
from shared.database.engine import one_statement
from shared.database.short import short_transaction

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = 24
"""Hours."""

_SHAPE = re.compile(r"[\x21-\x7e]{1,255}")
_LEFT_OUT = frozenset({"Content-Type", "Content-Length"})
_AT_ONCE = 1000  # rows
_BEGINNING = 64 * 1024


def once(answering: Callable[[], Response]) -> Response:
    """The answer to the present request, or the one that was given before. Raises Invalid, InProgress, KeyReused."""
    key = given_key()
    if key is None:
        return answering()
    whose, digest = caller(), digest_of(asked().get_data())
    work = working()
    with short_transaction(work.engine) as short:
        connection = short.connection
        if kept := claim(connection, whose, key, digest, short.first(_CLAIM)):
            return kept
        act = g.act = Act(connection, work.actor, work.slot, work.match, is_test=work.is_test)
        try:
            response = answering()
            act.finish()
        finally:
            g.act = None
            act.close()
        keep(connection, whose, key, response, short.last(_KEEP))
    act.tell()
    return response


def once_file(answering: Callable[[], Response]) -> Response:
    """The same for a body that is read while it comes, and worked on in transactions of its own: its length and its
    first 64 KiB stand for it. A lock of a session guards the key for as long as that takes, so a pooler must not stand
    between; if the process dies, the file is taken anew, which changes nothing that it has changed already."""
    key = given_key()
    if key is None:
        return answering()
    whose = caller()
    digest = digest_of(f"{asked().content_length} ".encode() + upload.peek(asked(), _BEGINNING))
    with one_statement(parts().direct) as connection:
        try:
            if kept := claim(connection, whose, key, digest, _CLAIM_FOR_A_SESSION):
                return kept
            response = answering()
            with suppress(SQLAlchemyError):  # then a repeated request finds no answer, and is carried out again
                keep(connection, whose, key, response, _KEEP)
        finally:
            with suppress(SQLAlchemyError):  # whose session is over has no lock
                connection.execute(_UNLOCK, {"lock": lock_number(whose, key)})
    return response


def given_key() -> str | None:
    """Raises Invalid."""
    key = asked().headers.get(HEADER)
    if key is not None and not _SHAPE.fullmatch(key):
        raise Invalid({HEADER: ["Must be 1 to 255 visible ASCII characters."]}, place="headers")
    return key


def claim(connection: Connection, whose: str, key: str, digest: bytes, statement: TextClause) -> Response | None:
    """None: whoever asks is the first, or the first failed. Else the answer that was kept. Raises InProgress,
    KeyReused."""
    values = {"lock": lock_number(whose, key), "caller": whose, "key": key, "digest": digest, "hours": KEPT}
    if connection.execute(statement, values).first():
        return None
    row = connection.execute(_FIND, values).first()
    if row is None or row.status is None:
        raise InProgress("The first request with this key is still under way.")
    if bytes(row.digest) != digest:
        raise KeyReused({HEADER: ["Was used for another request: another path, query or body."]}, place="headers")
    response = Response(bytes(row.body), status=row.status, content_type="application/json")
    response.headers.extend({**row.headers, REPLAYED: "true"})
    return response


def keep(connection: Connection, whose: str, key: str, response: Response, statement: TextClause) -> None:
    headers = {name: value for name, value in response.headers if name not in _LEFT_OUT}
    answer = {"status": response.status_code, "headers": headers, "body": response.get_data()}
    connection.execute(statement, {"caller": whose, "key": key} | answer)


def lock_number(whose: str, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{whose}\0{key}".encode()).digest()[:8], signed=True)


def digest_of(body: bytes) -> bytes:
    """Of the present request with that for its body."""
    request = asked()
    said = f"{request.method} {request.path}?".encode() + request.query_string + b"\0" + body
    return hashlib.sha256(said).digest()


def caller() -> str:
    """Whose keys they are: an API key has its own; where none is needed all callers are one."""
    key = g.get("key")
    return "" if key is None else key.id


class Forgetting(Chore):
    """What was kept long enough goes."""

    pause = 600.0

    def _work(self) -> bool:
        with self._engine.begin() as connection:
            return connection.execute(_FORGET, {"hours": KEPT, "most": _AT_ONCE}).rowcount == _AT_ONCE


# The lock is taken before the row is looked for, so a row without an answer belongs to nobody who still works: a
# process that died has left it.
_CLAIM = text("""
    with door as (select pg_try_advisory_xact_lock(:lock) as is_open)
    insert into kept_answers as k (caller, key, digest)
    select :caller, :key, :digest from door where is_open
    on conflict (caller, key) do update set digest = excluded.digest, made_at = now(), status = null
        where k.made_at < now() - make_interval(hours => :hours) or k.status is null
    returning 1
""")
_CLAIM_FOR_A_SESSION = text(_CLAIM.text.replace("pg_try_advisory_xact_lock", "pg_try_advisory_lock"))
_UNLOCK = text("select pg_advisory_unlock(:lock)")
_FIND = text("select digest, status, headers, body from kept_answers where caller = :caller and key = :key")
_KEEP = text("""
    update kept_answers set status = :status, headers = :headers, body = :body where caller = :caller and key = :key
""").bindparams(bindparam("headers", type_=JSONB))
_FORGET = text("""
    delete from kept_answers where (caller, key) in (
        select caller, key from kept_answers where made_at < now() - make_interval(hours => :hours)
        order by made_at limit :most for update skip locked
    )
""")
