"""The default profile: `POST {url}/v1/send/{id}` with `{"id": 1, "phone": 79161234567, "text": "…"}`, which is answered
with `{"code": 0, "message": "OK"}`. Pure."""

from shared.domain.message import Error
from shared.domain.profile.provider import Fields, Json, Limits, Provider, Reading, Request, Secret, Source
from shared.domain.profile.rules import Rule
from shared.domain.profile.template import Slot
from shared.domain.retry import OutcomeKind

NAME = "seed"

_GOOD = frozenset(range(200, 300))


def seed(url: str, token: str, limits: Limits) -> Provider:
    """The one provider of a deployment that names its address and its token only."""
    headers: Fields = (("Accept", ("application/json",)),)
    if token:
        headers = (*headers, ("Authorization", ("Bearer ", Slot("token"))))
    return Provider(
        NAME,
        Request((f"{url}/v1/send/", Slot("id")), headers=headers, body=_BODY),
        _READING,
        limits,
        secrets={"token": Secret(Source.GIVEN, token)} if token else {},
    )


_BODY = Json({"id": (Slot("id", is_number=True),), "phone": (Slot("phone", is_number=True),), "text": (Slot("text"),)})

_READING = Reading(
    (
        Rule(_GOOD, OutcomeKind.ACCEPTED, None, path=("code",), values=(0,)),
        # It says no. Nothing but a whole number is another code.
        Rule(_GOOD, OutcomeKind.TRANSIENT, Error.DECLINED, path=("code",), type="integer"),
    )
)
