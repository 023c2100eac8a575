"""What can go wrong, as one tree; adapters translate the errors of their libraries into these and keep the cause.

NotificationError
├── SettingsError          a setting that makes no sense; stops the process at its start
├── UndecodableJob         a body on the broker that is no job of ours
│   └── OutdatedJob        it is one of an older version
└── BrokerError
    ├── BrokerUnavailable  no connection, or it broke; worth another try
    └── Unroutable         the broker has no queue of that name
"""


class NotificationError(Exception):
    """The root: everything this product raises on purpose."""


class SettingsError(NotificationError):
    """One sentence that names the variable."""


class UndecodableJob(NotificationError):
    """Says in one sentence what is wrong with the body."""


class OutdatedJob(UndecodableJob):
    """A job of the version before. It is let go unread: what it names is found without it."""


class BrokerError(NotificationError):
    """Whatever the broker did not do."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached, or the connection broke; nothing can be said about what was under way."""


class Unroutable(BrokerError):
    """The job was refused because there is no such queue; it is not stored."""
