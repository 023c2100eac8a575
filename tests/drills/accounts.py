"""Whether nothing was lost and nothing came twice: what the service says of a drill's mailings, and what the provider
knows of them."""

from sandbox import directory
from sandbox.reckoning import Provider, Service, problems
from shared.domain.message import MessageState
from tests.drills.scene import Scene
from tests.e2e.system import is_over

OVER_WITHIN = 120.0


def settled(scene: Scene, repeats: int) -> str:
    """What became of all messages, once each of them is in a final state. repeats: so many may have come twice.
    Raises AssertionError, with every disagreement."""
    repeated = [problem for mailing_id in scene.audiences for problem in _of(scene, mailing_id, repeats)]
    assert not repeated, "\n".join(repeated)
    totals = scene.system.api.statistics()
    assert totals["audience"] == sum(totals[state] for state in MessageState), totals
    again = sum(one.count > 1 for one in scene.system.simulator.accepted().values())
    twice = f"{again} twice, whose first answers got lost" if again else "none twice"
    counts = ", ".join(f"{totals[state]} {state}" for state in MessageState if totals[state])
    return f"{counts}; none lost, {twice}; the ledger balances"


def _of(scene: Scene, mailing_id: int, repeats: int) -> list[str]:
    system = scene.system
    figures = system.until_figures(mailing_id, is_over, "all messages in a final state", OVER_WITHIN)
    messages = directory.messages(system.database_url, mailing_id)
    ids = set().union(*messages.values())
    received = [one for message_id, one in system.simulator.received().items() if message_id in ids]
    accepted = {message_id: one for message_id, one in system.simulator.accepted().items() if message_id in ids}
    resent = sum(one.after_ok > 0 for one in received)
    provider = Provider(
        accepted=accepted.keys(),
        twice=sum(one.count > 1 for one in accepted.values()),
        resent=0 if resent <= repeats else resent,
        overlapping=sum(one.most_open > 1 for one in received),
        refuses=lambda _: mailing_id in scene.called_off,
    )
    service = Service(figures["audience"], {state: figures[state] for state in MessageState}, messages)
    return problems(scene.audiences[mailing_id], service, provider)
