"""Lets the services log in to the bundled PostgreSQL: `deploy/logins.py FILE`, after the migrations.

FILE has a line `name password` for each. They may do what the service may and no more (docs/security.md). Every run
sets the passwords to those of the file.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import cursor, encrypt_password
from psycopg2.sql import SQL, Identifier, Literal


def admit(at: cursor, name: str, password: str) -> None:
    """Makes the user if there is none of that name. The server is told a digest of the password only."""
    at.execute("select from pg_roles where rolname = %s", (name,))
    if not at.rowcount:
        at.execute(SQL("create role {} login").format(Identifier(name)))
    digest = encrypt_password(password, name, at.connection, "scram-sha-256")
    at.execute(SQL("alter role {} login password {}").format(Identifier(name), Literal(digest)))
    at.execute("select pg_get_userbyid(relowner) from pg_class where oid = to_regclass('messages')")
    ((service,),) = at.fetchall()
    at.execute(SQL("grant {} to {}").format(Identifier(service), Identifier(name)))


def main() -> None:
    logins = [line.split() for line in Path(sys.argv[1]).read_text(encoding="ascii").splitlines() if line]
    # Of several hosts the one that takes writes, whichever comes first.
    connection = psycopg2.connect(os.environ["DATABASE_URL"], target_session_attrs="read-write")
    with closing(connection), connection, connection.cursor() as at:
        for name, password in logins:
            admit(at, name, password)


if __name__ == "__main__":
    main()
