"""Keys that are about to expire: a warning in the log, once a day for each, and a metric."""

from sqlalchemy import text

from api_service.web.chore import Chore
from shared import logs
from shared.metrics import KEYS_EXPIRING

AHEAD = 14  # days

_log = logs.logger()


class Expiry(Chore):
    """The row remembers the warning, so that one process gives it for all."""

    pause = 60.0

    def _work(self) -> bool:
        with self._engine.begin() as connection:
            expiring = connection.scalar(_EXPIRING, {"days": AHEAD})
            to_warn_of = connection.execute(_WARN, {"days": AHEAD}).all() if expiring else []
        KEYS_EXPIRING.set(expiring or 0)
        for one in to_warn_of:
            _log.warning(
                "api_key_expires",
                key_id=one.id,
                key_name=one.name,
                expires_at=one.expires_at.isoformat(),
                last_used_at=one.last_used_at and one.last_used_at.isoformat(),
            )
        return False


_SOON = "revoked_at is null and expires_at > now() and expires_at <= now() + make_interval(days => :days)"
_EXPIRING = text(f"select count(*) from api_keys where {_SOON}")
_WARN = text(f"""
    with due as (
        select id from api_keys
        where {_SOON} and (warned_at is null or warned_at <= now() - interval '1 day')
        for no key update skip locked
    )
    update api_keys k set warned_at = now() from due where k.id = due.id
    returning k.id, k.name, k.expires_at, k.last_used_at
""")
