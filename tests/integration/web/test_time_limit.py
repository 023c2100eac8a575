"""What is asked with a limit of time, whenever that comes."""

from functools import partial

from sqlalchemy import Engine, text

from api_service.web.time_limit import in_time

ROUNDS = 400
SECONDS = 0.003
SETTINGS = text("select name, setting from pg_settings where name in ('statement_timeout', 'work_mem')")


def test_a_limit_that_comes_as_the_answer_does_harms_nothing(books_engine: Engine) -> None:
    """One in thirty ended the transaction: the database then stops whatever is asked next."""
    rows, given_up = 20_000, 0
    with books_engine.connect() as connection:
        settings = connection.execute(SETTINGS).all()
        for _ in range(ROUNDS):
            asked = text(f"select count(*) from generate_series(1, {rows})")
            found: int | None = in_time(connection, SECONDS, partial(connection.scalar, asked))
            assert found in {rows, None}
            given_up += found is None
            assert connection.execute(SETTINGS).all() == settings  # nor has what is asked next less time
            rows = int(rows * (1.01 if found else 0.99))  # it takes about as long as it may
    assert ROUNDS // 10 < given_up < ROUNDS * 9 // 10
