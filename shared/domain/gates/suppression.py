"""Phones that must not be written to. Pure."""

from shared.domain.gates.gate import Case, Gate, Skip, Stop
from shared.domain.reason import Reason

# That of the client, or the one that they had when the message was called first.
_IS_SUPPRESSED = """(c.suppression_id is not null or m.phone <> c.phone and exists (
    select from former_phones f
    where f.client_id = m.client_id and f.phone = m.phone and f.suppression_id is not null))"""


def _stop(case: Case) -> Stop | None:
    return Skip(Reason.OPTED_OUT) if case.message.is_suppressed else None


SUPPRESSION = Gate(
    stop=_stop,
    reads={"is_suppressed": _IS_SUPPRESSED},
    passes=f"not {_IS_SUPPRESSED}",
    reason=Reason.OPTED_OUT,
)
