"""Whom a retry is for, as requests and answers have it."""

from typing import Any

from marshmallow import fields, validate

from api_service.mailings.window_schema import WindowSchema
from api_service.web.fields import Moment, Whole
from api_service.web.schema import BodySchema, described, enumerated
from shared.domain.message import RARE_STATES, Error, MessageState
from shared.domain.reason import Reason


def retried_states(**more: Any) -> fields.List[Any]:
    states = [str(state) for state in MessageState if state in RARE_STATES]
    return fields.List(
        fields.String(
            validate=validate.OneOf(states), metadata=enumerated("RetriedState", "One of them.", enum=states)
        ),
        **more,
    )


def retried_errors(**more: Any) -> fields.List[Any]:
    errors = [*map(str, Error), *map(str, Reason)]
    return fields.List(
        fields.String(
            validate=validate.OneOf(errors), metadata=enumerated("RetriedError", "One of them.", enum=errors)
        ),
        **more,
    )


class RetrySchema(BodySchema):
    """Whom a retry is for, and when."""

    states = retried_states(
        required=True,
        validate=validate.Length(1, len(RARE_STATES)),
        metadata=described(
            "Those whose messages ended in one of these. Who is `unknown` may have got it: they are written to only"
            " where it is named.",
            example=["failed", "expired"],
        ),
    )
    errors = retried_errors(
        load_default=list,
        validate=validate.Length(0, len(Error) + len(Reason)),
        metadata=described(
            "Of these only those whose messages have one of these errors, or were skipped for one of these reasons, as"
            " the statistics name them; whatever they have where it is left out.",
            example=["provider_down"],
        ),
    )
    starts_at = Moment(
        metadata=described("When it is launched; at once where it is left out.", example="2050-02-01T09:00:00+03:00")
    )
    ends_at = Moment(
        required=True,
        metadata=described(
            "Nothing is sent from this moment on. Later than `starts_at` and in the future.",
            example="2050-02-01T21:00:00+03:00",
        ),
    )
    send_window = Whole(
        WindowSchema,
        allow_none=True,
        metadata=described("As of any mailing; that of the mailing which is retried where it is left out."),
    )
