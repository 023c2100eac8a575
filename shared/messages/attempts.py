"""What became of the calls of messages, and what the provider said."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, text

from shared.messages.fragments import AnyRow, array


def read_attempts(connection: Connection, part: int, message_id: int) -> Sequence[AnyRow]:
    """The attempts of a message that did not succeed, as (number, at, error, words), the first one first; of very many
    the newest."""
    return connection.execute(_ATTEMPTS, {"part": part, "message_id": message_id}).all()


_ATTEMPTS = text("""
    select number, at, error, words from attempts where part = :part and message_id = :message_id order by number
""")


def last_words(connection: Connection, part: int, message_ids: Iterable[int]) -> Mapping[int, str]:
    """What the provider said with the last attempt of messages, by their ids; those of which it said nothing are left
    out."""
    rows = connection.execute(_WORDS, {"part": part, "ids": array(message_ids)})
    return {row.id: row.words for row in rows if row.words is not None}


_WORDS = text("""
    select job.id, a.words from unnest(cast(:ids as bigint[])) as job (id)
    cross join lateral (
        select words from attempts where part = :part and message_id = job.id order by number desc limit 1
    ) a
""")
