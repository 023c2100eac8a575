"""The ways to the database: one for transactions, and one for what needs a session of its own.

They are the same, unless DATABASE_URL leads to a pooler that hands out sessions for a transaction at a time. What needs
its own (advisory locks that outlast a transaction, LISTEN, migrations) then takes DATABASE_DIRECT_URL.
"""

from dataclasses import dataclass
from typing import TypedDict, Unpack

from sqlalchemy import Engine

from shared.database import embedded
from shared.database.engine import leads_to_pooler, make_engine
from shared.database.roles import Role
from shared.domain.errors import SettingsError
from shared.settings import Settings


class Options(TypedDict, total=False):
    """Those of `make_engine` that its callers choose."""

    role: Role
    pool_size: int
    statement_timeout: float


@dataclass(frozen=True, slots=True)
class Database:
    """url: for transactions. direct_url: for sessions; where it is another one, the former leads to a pooler."""

    url: str
    direct_url: str

    def engine(self, name: str, **options: Unpack[Options]) -> Engine:
        """For transactions; see `make_engine`."""
        return make_engine(self.url, name, is_pooled=self.direct_url != self.url, **options)

    def direct_engine(self, name: str, **options: Unpack[Options]) -> Engine:
        """For sessions; see `make_engine`."""
        return make_engine(self.direct_url, name, **options)


def ensure_database(settings: Settings, *, needs_session: bool = True) -> Database:
    """The database of the settings; where they name none, the embedded one, which is started.

    needs_session: whether this process will use `direct_engine`.

    Raises SettingsError where a pooler stands where PostgreSQL itself has to be. A database that cannot be reached now
    is waited for later on, and every connection looks again.
    """
    if settings.database_url is None:
        url = embedded.start(settings.data_dir)
        return Database(url, url)
    found = Database(settings.database_url, settings.database_direct_url or settings.database_url)
    if settings.database_direct_url is None:
        if leads_to_pooler(found.url):
            raise SettingsError(
                "DATABASE_URL leads to a pooler: DATABASE_DIRECT_URL must name PostgreSQL itself, for what needs a"
                " session of its own."
            )
    elif needs_session and leads_to_pooler(found.direct_url):
        raise SettingsError("DATABASE_DIRECT_URL must lead to PostgreSQL itself, and a pooler answers there.")
    return found
