"""The ledger as answers show it."""

from typing import Any

from marshmallow import Schema, fields

from api_service.web.schema import described
from shared.domain.message import MessageState
from shared.ledger.figures import Figures

_AUDIENCE = fields.Integer(
    required=True, metadata=described("Clients that matched when the mailing started.", example=3)
)
COUNTS: dict[str, fields.Field[Any]] = {"audience": _AUDIENCE}
COUNTS |= {
    str(state): fields.Integer(
        required=True, metadata=described(f"Messages {state.meaning}.", example=int(state is MessageState.SENT) * 3)
    )
    for state in MessageState
}

FiguresSchema = Schema.from_dict(COUNTS, name="Figures")
"""The ledger: `audience` is the sum of all the others, at every moment."""


TEST = described(
    "Whether it was made by a key of the scope `test`: then nothing of it reaches a provider, and it is in no figure of"
    " what is really sent. A key of that scope sees such mailings only, and any other key none of them.",
    example=False,
)
"""Of a field of whatever shows a mailing."""


def counts(figures: Figures) -> dict[str, int]:
    """As `FiguresSchema` wants them."""
    return {"audience": figures.audience} | {str(state): count for state, count in figures.states.items()}
