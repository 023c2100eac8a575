"""The drills there are, by name."""

from tests.drills.broker_node_lost import BrokerNodeLost
from tests.drills.clock_stepped import ClockStepped
from tests.drills.database_failover import DatabaseFailover
from tests.drills.disk_nearly_full import DiskNearlyFull
from tests.drills.drill import Drill
from tests.drills.key_leaked import KeyLeaked
from tests.drills.leader_frozen import LeaderFrozen
from tests.drills.mailing_locked import MailingLocked
from tests.drills.provider_down import ProviderDown
from tests.drills.token_expired import TokenExpired
from tests.drills.wrong_mailing_started import WrongMailingStarted

DRILLS: dict[str, type[Drill]] = {
    "provider-down": ProviderDown,
    "token-expired": TokenExpired,
    "database-failover": DatabaseFailover,
    "broker-node-lost": BrokerNodeLost,
    "disk-nearly-full": DiskNearlyFull,
    "clock-stepped": ClockStepped,
    "leader-frozen": LeaderFrozen,
    "mailing-locked": MailingLocked,
    "key-leaked": KeyLeaked,
    "wrong-mailing-started": WrongMailingStarted,
}
