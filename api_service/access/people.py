"""People whom the identity provider signs in, in the database.

What the audit says of them has nothing that is theirs: they are an id of ours there, and what their groups allow.
"""

import secrets
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, text

from api_service.web.key import Person, Scope
from api_service.web.work import Work
from shared import audit
from shared.audit import Actor, Change


def allowed(groups: Iterable[str], by_group: Mapping[str, Scope]) -> Scope | None:
    """What somebody in these groups may do: the most that one of them allows; None: nothing."""
    order = list(Scope)
    return max((by_group[one] for one in groups if one in by_group), key=order.index, default=None)


def meet(
    connection: Connection, issuer: str, subject: str, *, name: str, scope: Scope, request_id: str | None
) -> Person:
    """Somebody who signs in, as they are known from now on. issuer, subject: who calls them what, for good."""
    values = {"id": secrets.token_hex(6), "issuer": issuer, "subject": subject, "name": name, "scope": str(scope)}
    known_scope = connection.execute(_SCOPE, values).scalar()
    person = Person(connection.execute(_MEET, values).scalar_one(), scope, name)
    if known_scope != scope:
        before = {"scope": known_scope} if known_scope else None
        change = Change(
            "change" if before else "create", "person", person.id, {"scope"} if before else (), before, {"scope": scope}
        )
        audit.write(connection, Actor(person.by, request_id=request_id), [change])
    return person


def turn_away(connection: Connection, issuer: str, subject: str) -> None:
    """Somebody may do nothing any more: also where they are signed in elsewhere."""
    connection.execute(_TURN_AWAY, {"issuer": issuer, "subject": subject})


def named(work: Work, by: Iterable[str]) -> Mapping[str, str]:
    """The names of those whom the audit names so; keys and commands are none of them."""
    ids = {one.removeprefix(_PERSON): one for one in by if one.startswith(_PERSON)}
    if not ids:
        return {}
    with work.read() as session:
        rows = session.connection().execute(_NAMED, {"ids": list(ids)}).all()
    return {ids[row.id]: row.name for row in rows}


_PERSON = "person "
_NAMED = text("select id, name from people where id = any(:ids)")

_SCOPE = text("select scope from people where issuer = :issuer and subject = :subject for update")

_MEET = text("""
    insert into people (id, issuer, subject, name, scope) values (:id, :issuer, :subject, :name, :scope)
    on conflict (issuer, subject) do update
        set name = excluded.name, scope = excluded.scope, signed_in_at = now()
    returning id
""")

_TURN_AWAY = text("""
    delete from sessions where person_id in (select id from people where issuer = :issuer and subject = :subject)
""")
