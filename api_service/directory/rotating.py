"""Another key for digests is taken into use; what was made with older ones is made anew, where the phone is known.

Under load: suppressions are made anew in slices, each a transaction of its own. A comparison finds a row by its old
digest or by its new one, since whoever compares knows both keys. So a new key has to be known to all processes before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from api_service.directory.comparing import KeyMissing, take_into_use, versions_in_use
from api_service.web.work import Work
from shared.domain.digests import Digests
from shared.suppression import hold_alone

SLICE = 1_000


@dataclass(frozen=True, slots=True)
class Rotated:
    """version: of the key in use. renewed: suppressions made anew with it. left: how many still need each older key,
    since nobody has their phone: it is not known."""

    version: int
    renewed: int
    left: Mapping[int, int]


def rotate(work: Work, digests: Digests) -> Rotated:
    """Takes the highest version into use; harmless when repeated. Raises KeyMissing."""
    version = _take_into_use(work, digests)
    renewed = after = 0
    while True:
        with work.act() as act:
            rows = act.connection.execute(_OLD, {"version": version, "after": after, "limit": SLICE}).all()
            after = rows[-1].id if rows else after
            known = {row.id: digests.of(row.phone, version) for row in rows if row.phone is not None}
            if known:
                new = {"version": version, "ids": list(known), "digests": list(known.values())}
                renewed += act.connection.execute(_RENEW, new).rowcount
        if len(rows) < SLICE:
            break
    with work.act() as act:
        hold_alone(act.connection)
        left = {row.key_version: row.number for row in act.connection.execute(_LEFT, {"version": version})}
        act.connection.execute(_DROP, {"version": version, "needed": list(left)})
    return Rotated(version, renewed, left)


def _take_into_use(work: Work, digests: Digests) -> int:
    with work.act() as act:
        hold_alone(act.connection)
        in_use = versions_in_use(act.connection, digests)
        version = max(digests.versions, default=None)
        if version is None:
            raise KeyMissing
        if version not in in_use:
            take_into_use(act.connection, digests, version)
            act.note("rotate", "suppression_keys", version)
    return version


_OLD = text("""
    select s.id, coalesce(c.phone, s.phone) as phone from suppressions s
    left join lateral (select phone from clients where suppression_id = s.id limit 1) c on true
    where s.key_version < :version and s.id > :after
    order by s.id limit :limit for update of s
""")
_RENEW = text("""
    update suppressions s set digest = given.digest, key_version = :version
    from unnest(cast(:ids as bigint[]), cast(:digests as bytea[])) as given (id, digest) where s.id = given.id
""")
_LEFT = text(
    "select key_version, count(*) as number from suppressions where key_version <> :version group by 1 order by 1"
)
_DROP = text("delete from suppression_keys where version <> :version and version <> all(cast(:needed as smallint[]))")
