"""The ledger as answers show it."""

from typing import Any

from flask import current_app
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


class ReceiptFiguresSchema(Schema):
    """What is known of the delivery: `sent` is the sum of `delivered`, `undelivered` and `awaiting`, at every moment.

    What ended as `unknown` and has a receipt all the same is counted apart.
    """

    delivered = fields.Integer(
        required=True, metadata=described("Messages that were sent, and delivered, as the provider says.", example=1)
    )
    undelivered = fields.Integer(
        required=True, metadata=described("Messages that were sent, and not delivered, as it says.", example=1)
    )
    awaiting = fields.Integer(
        required=True,
        metadata=described(
            "Messages that were sent, and of which no receipt has said for good what became.", example=0
        ),
    )
    unknown_delivered = fields.Integer(
        required=True, metadata=described("Messages that ended as `unknown`, and were delivered.", example=0)
    )
    unknown_undelivered = fields.Integer(
        required=True, metadata=described("Messages that ended as `unknown`, and were not delivered.", example=0)
    )


RECEIPTS_FIELD = fields.Nested(
    ReceiptFiguresSchema,
    required=True,
    allow_none=True,
    metadata=described("By receipts. Null: no provider sends any."),
)
RECEIPTS_EXAMPLE = {"delivered": 1, "undelivered": 0, "awaiting": 1, "unknown_delivered": 0, "unknown_undelivered": 0}


def receipts(figures: Figures) -> dict[str, int] | None:
    """As RECEIPTS_FIELD wants them."""
    if not current_app.extensions["receivers"] and not any(figures.receipts.values()):
        return None
    return {**figures.receipts, "awaiting": figures.awaiting}
