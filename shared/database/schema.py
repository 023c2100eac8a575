"""Whether the database has the schema that this version of the service needs."""

from pathlib import Path

from sqlalchemy import Engine, text

_VERSIONS = Path(__file__).parent / "migrations" / "versions"

NEEDED = max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*.py"))
"""The newest of the migrations; they are numbered. Alembic, which could tell as well, takes 10 MB."""


def is_up_to_date(engine: Engine) -> bool:
    """A schema that is newer will do: it is migrated before the processes are replaced. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        if connection.scalar(text("select to_regclass('alembic_version')")) is None:
            return False
        version = connection.scalar(text("select max(version_num) from alembic_version"))
        return version is not None and str(version) >= NEEDED
