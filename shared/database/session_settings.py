"""What the server keeps for whoever talks to it: the settings of a session, or of each transaction behind a pooler.

They are listed here and nowhere else. A connection to PostgreSQL itself has them from its start, which costs nothing.
Behind a pooler a session is whoever's turn it is: what is set in one stays for the next of its clients, and a start
with options is refused. So every transaction there sets its own, in one statement, and they end with it.
"""

IDLE_IN_TRANSACTION = 10.0
"""Seconds after which the server ends a transaction in which nothing is asked."""


def session_settings(statement_timeout: float) -> dict[str, str]:
    """By name. statement_timeout: seconds, 0: none.

    random_page_cost: what is worked on is in memory; at the default, 4, a batch of ids may scan a table.
    """
    return {
        "timezone": "UTC",
        "statement_timeout": _milliseconds(statement_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION),
        "random_page_cost": "1.1",
    }


LINE_SETTINGS = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Of the server's end of a connection: what we had locked is free soon after this machine was lost. A pooler has its
own."""


def as_options(settings: dict[str, str]) -> str:
    """For the start of a session."""
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def as_statement(settings: dict[str, str]) -> str:
    """For the beginning of a transaction. Nothing in it takes a snapshot, so that an isolation level may follow."""
    return "; ".join(f"set local {name} = '{value}'" for name, value in settings.items())


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
