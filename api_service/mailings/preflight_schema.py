"""What a preflight answers."""

from typing import Any

from marshmallow import Schema, fields

from api_service.mailings.facts import RateFrom
from api_service.mailings.finding import Blocker, Caution
from api_service.web.fields import Moment
from api_service.web.schema import described, enumerated
from shared.domain.meaning import Meaning
from shared.domain.reason import Reason
from shared.domain.text.parts import Encoding

SHOWN = 100
"""Of a list, the largest come first; `others` are the people of those that are not shown."""


def _meanings(kind: type[Meaning]) -> str:
    return "; ".join(f"`{one}`: {one.meaning}" for one in kind)


def _whole(description: str, example: int, **more: Any) -> fields.Integer:
    return fields.Integer(required=True, metadata=described(description, example=example), **more)


def _number(description: str, example: float, **more: Any) -> fields.Float:
    return fields.Float(required=True, metadata=described(description, example=example), **more)


def _one_of(kind: Any, name: str, description: str, example: str, **more: Any) -> fields.Enum[Any]:
    return fields.Enum(
        kind, by_value=fields.String, required=True, metadata=enumerated(name, description, example=example), **more
    )


def _list(of: type[Schema], description: str, **more: Any) -> fields.Field[Any]:
    return fields.List(fields.Nested(of), required=True, metadata=described(description), **more)


_CLIENTS = "How many clients."
_WITHIN = "By how much that may be off, as a sample tells it: in 19 of 20 samples it is not more. 0: exact."
_MESSAGE = "A sentence about this mailing."


class BlockerSchema(Schema):
    """Something because of which nothing would be sent."""

    type = _one_of(Blocker, "BlockerType", _meanings(Blocker), "nobody")
    message = fields.String(required=True, metadata=described(_MESSAGE, example="No client matches the filter."))


class CautionSchema(Schema):
    """Something that whoever starts the mailing should know."""

    type = _one_of(Caution, "CautionType", _meanings(Caution), "no_dispatcher")
    message = fields.String(required=True, metadata=described(_MESSAGE, example=Caution.NO_DISPATCHER.meaning))


class SkippedSchema(Schema):
    reason = _one_of(Reason, "Reason", _meanings(Reason), "opted_out")
    clients = _whole(_CLIENTS, 2)


class CodeCountSchema(Schema):
    operator_code = fields.String(required=True, metadata=described("Three digits.", example="912"))
    clients = _whole(_CLIENTS, 40)


class TagCountSchema(Schema):
    tag = fields.String(required=True, metadata=described("Empty: those who have none.", example="vip"))
    clients = _whole(_CLIENTS, 40)


class ZoneCountSchema(Schema):
    timezone = fields.String(required=True, metadata=described("Its IANA name.", example="Europe/Moscow"))
    clients = _whole(_CLIENTS, 40)
    opens_at = Moment(
        required=True,
        allow_none=True,
        metadata=described(
            "When they may be reached first. Null: not before the end, so they get nothing.",
            example="2050-01-31T06:00:00+00:00",
        ),
    )


class HourCountSchema(Schema):
    hour = _whole("Of their own day, from 0 to 23.", 9)
    clients = _whole(_CLIENTS, 40)


def _others(what: str) -> fields.Integer:
    return _whole(f"Clients of those {what} that are not shown.", 0)


class AudienceSchema(Schema):
    """Who would get it now, counted in one pass."""

    clients = _whole("All who match the filter: so many messages the launch would make.", 42)
    skipped = _list(
        SkippedSchema, "Those of them who get nothing, by the reason. All that follows is about the others."
    )
    operator_codes = _list(CodeCountSchema, f"By operator code, most clients first; at most {SHOWN}.")
    other_operator_codes = _others("operator codes")
    timezones = _list(ZoneCountSchema, f"By time zone, most clients first; at most {SHOWN}.")
    other_timezones = _others("time zones")
    tags = _list(
        TagCountSchema,
        f"By tag, most clients first; at most {SHOWN}. Null: the directory has too many tags to count by them.",
        allow_none=True,
    )
    other_tags = _others("tags")
    hours = _list(
        HourCountSchema, "By the hour of their own day in which they may be reached first; without those who are not."
    )


class CharacterSchema(Schema):
    """A character that is not in the alphabet of SMS, GSM-7."""

    character = fields.String(required=True, metadata=described("With the mark that stands on it.", example="“"))
    name = fields.String(
        required=True, metadata=described("As Unicode calls it.", example="LEFT DOUBLE QUOTATION MARK")
    )
    places = fields.List(
        fields.Integer(),
        required=True,
        metadata=described("Where it stands, counted in characters from 1; the first 20.", example=[14]),
    )
    count = _whole("How often it stands in the text.", 1)
    write = fields.String(
        required=True,
        allow_none=True,
        metadata=described(
            "What to write instead; empty: nothing. Null: nothing looks like it; leave it out.", example='"'
        ),
    )


class EstimateSchema(Schema):
    clients = _whole(_CLIENTS, 3)
    within = _whole(_WITHIN, 0)


class SmsSchema(Schema):
    sms = _whole("How many parts in all.", 80)
    within = _whole(_WITHIN, 0)


class UnmadeSchema(EstimateSchema):
    reason = _one_of(Reason, "Reason", _meanings(Reason), "missing_value")


class PartsCountSchema(EstimateSchema):
    parts = _whole("Of the text that they get.", 2)


class PersonalSchema(Schema):
    """What a template makes of the values that people have."""

    looked_at = _whole("For how many people the text was made; all, or a sample.", 40)
    names = fields.List(
        fields.String(), required=True, metadata=described("Of the values that it asks for.", example=["name"])
    )
    unknown_names = fields.List(
        fields.String(),
        required=True,
        metadata=described("Those of them that nobody has who was looked at.", example=[]),
    )
    skipped = _list(UnmadeSchema, "Who gets nothing, by the reason.")
    by_parts = _list(PartsCountSchema, "How many clients get a text of so many parts.")
    better = fields.Nested(
        SmsSchema,
        required=True,
        allow_none=True,
        metadata=described("Parts in all with what is to be written instead; null: no fewer."),
    )


class PartsSchema(Schema):
    """How a text travels; of a template, the longest that was made."""

    encoding = _one_of(
        Encoding,
        "Encoding",
        "`gsm-7`: 160 characters, or 153 in each of several parts; `ucs-2`: 70, or 67.",
        "ucs-2",
    )
    parts = _whole("SMS that it takes.", 2)
    units = _whole("Characters as they are counted for that: some count twice.", 96)
    left = _whole("How many more of them the last part has room for.", 38)
    characters = _list(CharacterSchema, "Those that make it UCS-2, in the order in which they appear; at most 100.")
    better = fields.Integer(
        required=True,
        allow_none=True,
        metadata=described("Parts that it would take with what is to be written instead; null: no fewer.", example=1),
    )
    total = fields.Nested(
        SmsSchema, required=True, allow_none=True, metadata=described("For all. Null: the clients were not counted.")
    )
    personal = fields.Nested(
        PersonalSchema,
        required=True,
        allow_none=True,
        metadata=described("Null: it is no template, or could not be made in time."),
    )


class PaceSchema(Schema):
    """How fast it would go. All but `dispatchers` and `ahead` may be null: nobody knows."""

    dispatchers = _whole("How many are running.", 2)
    rate = _number("Messages a second.", 500.0, allow_none=True)
    rate_from = _one_of(RateFrom, "RateFrom", f"How that is known. {_meanings(RateFrom)}.", "limit", allow_none=True)
    ahead = _whole("Messages of other mailings that go before these: of a class before, or with a nearer end.", 0)
    seconds = _number("From the first message to the last one, hours in which the window is closed included.", 0.1,
                      allow_none=True)  # fmt: skip
    done_at = Moment(
        required=True,
        allow_none=True,
        metadata=described("When the last one would be sent.", example="2050-01-31T06:00:00.100000+00:00"),
    )
    fits = fields.Boolean(
        required=True, allow_none=True, metadata=described("Whether that is before the end.", example=True)
    )


class OverlappingSchema(EstimateSchema):
    mailing_id = _whole("The other one.", 7)


class OverlapSchema(EstimateSchema):
    """Who is still to get another mailing, that is running now."""

    mailings = _list(OverlappingSchema, "The same by mailing, most clients first; at most 100.")


class ZoneEstimateSchema(EstimateSchema):
    timezone = fields.String(required=True, metadata=described("Its IANA name.", example="Asia/Omsk"))


class OperatorEstimateSchema(EstimateSchema):
    operator = fields.String(required=True, metadata=described("As the register calls it.", example="MEGAFON"))


class OriginsSchema(EstimateSchema):
    """What the public numbering register says of phones; a suggestion, since people move and take numbers along.
    `clients`: those who have the default time zone."""

    timezone = fields.String(required=True, metadata=described("The default one.", example="Europe/Moscow"))
    suggested = _list(
        ZoneEstimateSchema, "Those of them whose phone was issued in another zone, by that one; most clients first."
    )
    ambiguous = fields.Nested(
        EstimateSchema,
        required=True,
        metadata=described("Those of them whose phone may be from several zones, or is not known of."),
    )
    operators = _list(
        OperatorEstimateSchema, "All, by who issued their phone, where that is known; most clients first."
    )


class PreflightSchema(Schema):
    """What would become of a mailing if it were started now."""

    at = Moment(
        required=True,
        metadata=described("The moment that all of it is about.", example="2050-01-30T14:21:07.123456+00:00"),
    )
    blockers = _list(BlockerSchema, "What refuses the start.")
    warnings = _list(CautionSchema, "What does not.")
    text = fields.Nested(PartsSchema, required=True, metadata=described("SMS parts."))
    audience = fields.Nested(
        AudienceSchema,
        required=True,
        allow_none=True,
        metadata=described("Null: it could not be counted in time, or the filter names what is not there."),
    )
    pace = fields.Nested(PaceSchema, required=True, metadata=described("How fast it would go."))
    overlap = fields.Nested(
        OverlapSchema, required=True, allow_none=True, metadata=described("Null: it could not be looked up in time.")
    )
    origins = fields.Nested(
        OriginsSchema, required=True, allow_none=True, metadata=described("Null: it could not be looked up in time.")
    )
