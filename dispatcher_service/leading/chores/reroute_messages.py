"""After a change of where messages go, those that are open get their lanes anew."""

from dispatcher_service.leading.chores.chore import Chore, Step
from dispatcher_service.leading.isolation import Act, Isolation
from shared.clock import ticks
from shared.messages.reroute import Rerouted, find_unrouted, read_routing, reroute_messages

SPAN = 5_000
"""Ids that a slice looks at."""

_MOST = 1_000  # mailings that are looked for at a time
_LAUNCHES = 30.0  # seconds that no slice of a launch takes


class RerouteMessages(Chore):
    """Goes through the mailings whose lanes are of an earlier routing, slice by slice. They are looked for when the
    routing has changed, or there is another leader, and until no launch can be under way that had not seen it."""

    name = "reroute_messages"
    pause = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._under_way: dict[int, Rerouted] = {}  # how far each mailing has been gone through
        self._routing = -1
        self._until = 0.0  # in ticks: so long they are looked for
        self._has_more = False  # and while there are any, however long one of them is held up

    def work(self, step: Step) -> bool | None:
        routing = step.acts.run(self.name, None, lambda connection, _: read_routing(connection))
        if routing is None:
            return None
        if routing != self._routing:
            self._routing, self._until, self._has_more = routing, ticks() + _LAUNCHES, True
        if ticks() > self._until and not self._has_more:
            return False
        found = step.acts.run(self.name, None, lambda connection, _: find_unrouted(connection, _MOST))
        if found is None:
            return None
        self._has_more = bool(found)
        self._under_way = {each: self._under_way[each] for each in found if each in self._under_way}
        return self.in_turn(found, lambda mailing_id: self._reroute(step.acts, mailing_id))

    def _reroute(self, acts: Isolation, mailing_id: int) -> int | None:
        """1: there is more of it."""
        done = acts.run(self.name, mailing_id, _rerouting(mailing_id, self._under_way.get(mailing_id)))
        if done is None:
            return None
        self._under_way[mailing_id] = done
        return not done.complete


def _rerouting(mailing_id: int, before: Rerouted | None) -> Act[Rerouted]:
    return lambda connection, entries: reroute_messages(connection, entries, mailing_id, SPAN, before)
