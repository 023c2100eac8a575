"""The reckoning: what the service says became of a mailing, against what the provider knows it took. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from shared.domain.message import FINAL_STATES, OPEN_STATES, MessageState

_SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Service:
    """audience, counts: as the statistics show them. messages: the ids, as the rows have them. Both of every state."""

    audience: int
    counts: Mapping[MessageState, int]
    messages: Mapping[MessageState, Set[int]]

    @property
    def balanced(self) -> bool:
        return self.audience == sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Provider:
    """accepted: ids. twice: those accepted more than once. resent: ids that came again after an answer that had
    accepted them. overlapping: ids of which two requests were open at a time. refuses: whether an id is refused for
    good."""

    accepted: Set[int]
    twice: int
    resent: int
    overlapping: int
    refuses: Callable[[int], bool]


def problems(clients: int, service: Service, provider: Provider) -> list[str]:
    """Every disagreement, one sentence each; none: each message is accounted for. clients: how many should get one.

    Accepted twice is no disagreement where the first answer was lost on its way: then nobody can know. It is one where
    a message came again after an answer (`resent`), or while one was still awaited (`overlapping`). Neither is a
    message in `unknown`, accepted or not: that is what the state says.
    """
    return [*_ledger_problems(clients, service), *_delivery_problems(service.messages, provider)]


def _ledger_problems(clients: int, service: Service) -> Iterator[str]:
    if service.audience != clients:
        yield f"The audience is {service.audience}; {clients} was expected."
    if not service.balanced:
        total = sum(service.counts.values())
        yield f"The ledger does not balance: the audience is {service.audience}, the states add up to {total}."
    for state in MessageState:
        if service.counts[state] != len(service.messages[state]):
            rows = len(service.messages[state])
            yield f"Counted as {state} by the statistics: {service.counts[state]}, in the table: {rows}."


def _delivery_problems(messages: Mapping[MessageState, Set[int]], provider: Provider) -> Iterator[str]:
    sent, unknown = messages[MessageState.SENT], messages[MessageState.UNKNOWN]
    still_open = _union(messages, OPEN_STATES)
    unsent = _union(messages, FINAL_STATES - {MessageState.SENT, MessageState.UNKNOWN})
    refused = {message_id for message_id in unsent if provider.refuses(message_id)}
    yield from _sentence(still_open, "Not in a final state")
    yield from _sentence(sent - provider.accepted, "Counted as sent, but never accepted by the provider")
    yield from _sentence(unsent & provider.accepted, "Counted as not sent, but accepted by the provider")
    yield from _sentence(unsent - provider.accepted - refused, "Not sent, though the provider would have taken them")
    yield from _sentence(
        provider.accepted - sent - unknown - unsent - still_open, "Accepted by the provider, but sent by nobody"
    )
    if provider.resent:
        yield f"Sent again after the provider had answered that it accepted them: {provider.resent}."
    if provider.overlapping:
        yield f"On their way twice at the same time: {provider.overlapping}."


def _union(messages: Mapping[MessageState, Set[int]], states: Iterable[MessageState]) -> set[int]:
    return set().union(*(messages[state] for state in states))


def _sentence(ids: Set[int], what: str) -> Iterator[str]:
    if ids:
        shown = ", ".join(map(str, sorted(ids)[:_SHOWN_IDS])) + (", …" if len(ids) > _SHOWN_IDS else "")
        yield f"{what}: {len(ids)} (message {shown})."
