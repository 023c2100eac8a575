"""A provider as requests and answers have it."""

from enum import StrEnum

from marshmallow import fields, validate

from api_service.web.fields import Flag, Moment, Number
from api_service.web.schema import ThingSchema, described, enumerated
from shared.domain.message import Error

HEAVIEST = 1_000_000


class ProviderState(StrEnum):
    UP = "up"  # a dispatcher calls it, or would
    DOWN = "down"  # every dispatcher that has it waits for it to answer again
    PAUSED = "paused"  # by a person
    UNSEEN = "unseen"  # no dispatcher that is alive has it


class ProviderSchema(ThingSchema):
    """No secret is among its members: dispatchers have those, and this process does not."""

    name = fields.String(dump_only=True, metadata=described("As the settings of dispatchers name it.", example="north"))
    state = fields.Enum(
        ProviderState,
        by_value=fields.String,
        dump_only=True,
        metadata=enumerated(
            "ProviderState",
            "`up`; `down`: no dispatcher gets anything done there; `paused`: by a person; `unseen`: no dispatcher that"
            " is alive has it.",
            example="up",
        ),
    )
    down_because = fields.Enum(
        Error,
        by_value=fields.String,
        dump_only=True,
        allow_none=True,
        metadata=enumerated(
            "BreakerError", "What opened the breaker of a dispatcher, also where others still call it.", example=None
        ),
    )
    since = Moment(
        dump_only=True,
        allow_none=True,
        metadata=described("When it was paused, or the first breaker opened; null: neither.", example=None),
    )
    dispatchers = fields.Integer(dump_only=True, metadata=described("Those alive that have it.", example=2))
    dispatchers_down = fields.Integer(
        dump_only=True, metadata=described("Those of them whose breaker is open.", example=0)
    )
    pace = fields.Float(
        dump_only=True,
        metadata=described("Calls per second that end now, over all dispatchers.", example=212.5),
    )
    known_limit = fields.Float(
        dump_only=True,
        allow_none=True,
        metadata=described(
            "Calls per second that it was found to take, by its 429, over all dispatchers; null: it took all.",
            example=None,
        ),
    )
    calls = fields.Integer(
        dump_only=True, metadata=described("Calls that ended in the last ten seconds.", example=2120)
    )
    failed = fields.Integer(
        dump_only=True, metadata=described("Those of them that came to nothing by its fault.", example=3)
    )
    share = fields.Float(
        dump_only=True,
        metadata=described(
            "Its part, from 0 to 1, of the messages that may go through any provider: by its weight, and by how much of"
            " that counts, beside the others that are up.",
            example=0.5,
        ),
    )
    counts = fields.Float(
        dump_only=True,
        metadata=described(
            "How much of its weight counts, from 0.1 to 1: half as much after every ten seconds in which it erred or"
            " was slow, while others did better; then a tenth more each time.",
            example=1.0,
        ),
    )
    weight = Number(
        strict=True,
        validate=validate.Range(0, HEAVIEST),
        metadata=described(
            "Its part beside the weights of the others; 0: only what is meant for it alone. A person who sets it has"
            " the last word, whatever the settings say.",
            example=1,
        ),
    )
    paused = Flag(
        metadata=described("Nothing is called through it. What only it may take waits.", example=False),
    )
    revision = fields.Integer(
        dump_only=True,
        metadata=described("Counts the changes of what users can set; `ETag` is made of it.", example=1),
    )
