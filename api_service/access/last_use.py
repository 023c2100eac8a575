"""When each key was used last, written behind the back of the requests."""

import threading

from sqlalchemy import Engine, text

from shared import clock

SELDOM = 60.0
"""Seconds between two writes of a process about the same key."""


class LastUse:
    """Noted in memory by whoever lets a request in; `write` is a chore of the process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}  # since the last write: when
        self._written: dict[str, float] = {}  # when last tried

    def note(self, key_id: str) -> None:
        with self._lock:
            self._used[key_id] = clock.ticks()

    def write(self) -> None:
        """Those of which nothing was written for a minute. What the database does not take is tried a minute later.
        Raises SQLAlchemyError."""
        now = clock.ticks()
        with self._lock:
            due = {key: at for key, at in self._used.items() if now - self._written.get(key, -SELDOM) >= SELDOM}
        if not due:
            return
        self._written |= dict.fromkeys(due, now)
        with self._engine.begin() as connection:
            connection.execute(_WRITE, {"ids": list(due), "ages": [now - at for at in due.values()]})
        with self._lock:
            for key, at in due.items():
                if self._used[key] == at:
                    del self._used[key]


# A key that another process writes about, or somebody revokes, at this moment is left to them: nobody waits here.
_WRITE = text("""
    with used as (
        select k.id, now() - make_interval(secs => u.age) as at
        from unnest(cast(:ids as text[]), cast(:ages as double precision[])) as u (id, age)
            join api_keys k on k.id = u.id
        where k.last_used_at is null or k.last_used_at < now() - make_interval(secs => u.age + 60)
        for no key update of k skip locked
    )
    update api_keys k set last_used_at = used.at from used where k.id = used.id
""")
