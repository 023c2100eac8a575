"""Everything that a request can fail with: one family, a class for each `type` of an error answer.

    {"type": "not-found", "code": 404, "status": "Not Found", "message": "There is no client 5.", "errors": {}}

The closed list of types, their pages under `/docs/errors/` and the failures of the document are made of these classes.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from api_service.web.refusal import Refusal

Places = Mapping[str, Any]
"""Lists of sentences by field, by place in the request: `json`, `query`, `headers`, `header` of a file, `body`."""

TYPES: dict[str, type["Problem"]] = {}


class Problem(Exception):
    """One that is raised becomes the answer.

    type, status: of the answer. meaning: for all of a type, in the document and on its page. advice: what whoever asks
    can do. sample: a message, and fields at fault.
    """

    type: ClassVar[str]
    status: ClassVar[HTTPStatus]
    meaning: ClassVar[str]
    advice: ClassVar[str]
    sample: ClassVar[tuple[str, Places]]
    answer_headers: ClassVar[Mapping[str, str]] = {}
    """Names and meanings of headers that the answer has beside the usual ones."""

    def __init_subclass__(cls) -> None:
        if "type" in cls.__dict__:
            TYPES[cls.type] = cls

    def __init__(
        self, message: str, errors: Mapping[str, Any] | None = None, place: str = "json", **headers: str
    ) -> None:
        """errors: lists of sentences by field. place: of these fields in the request. headers: of the answer, with
        underscores for hyphens."""
        super().__init__(message)
        self.message = message
        self.errors: Places = {place: dict(errors)} if errors else {}
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


_AGAIN = {"Retry-After": "Seconds until then."}
_CHALLENGE = {"WWW-Authenticate": "What is wanted (RFC 6750)."}

# ---------------------------------------------------------------- the request cannot be read


class Unreadable(Problem):
    type = "unreadable"
    status = HTTPStatus.BAD_REQUEST
    meaning = "The server cannot read this request."
    advice = "Mend what sends it: it does not speak HTTP as RFC 9112 has it."
    sample = meaning, {}


class NotJson(Problem):
    type = "not-json"
    status = HTTPStatus.BAD_REQUEST
    meaning = "The body is not JSON."
    advice = "Send one JSON value in UTF-8, without a byte order mark, NaN and Infinity."
    sample = meaning, {}


class BrokenOff(Problem):
    type = "broken-off"
    status = HTTPStatus.BAD_REQUEST
    meaning = "The body broke off, or its chunks make no sense. What had been taken stays."
    advice = "Send the same file again."
    sample = "The body broke off before its end.", {}


class TooSlow(Problem):
    type = "too-slow"
    status = HTTPStatus.REQUEST_TIMEOUT
    meaning = "The request came, or its answer was taken, too slowly. What had been taken of a file stays."
    advice = "Send the same again; compress a file, or cut it."
    sample = "The body came more slowly than 8 KiB a second.", {}


class TooLarge(Problem):
    type = "too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    meaning = "The body is too large. What had been taken of a file stays."
    advice = "Send less at a time."
    sample = "The body has more than 64 KiB.", {}


class AddressTooLong(Problem):
    type = "address-too-long"
    status = HTTPStatus.REQUEST_URI_TOO_LONG
    meaning = "The address is too long for the server to read it."
    advice = "Shorten the query."
    sample = "The request line has more than 4094 bytes.", {}


class HeadTooLarge(Problem):
    type = "head-too-large"
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    meaning = "There are too many headers, or one is too long."
    advice = "Send fewer; cookies and long tokens are of no use here."
    sample = "The head has more than 64 headers or 32 KiB, or a header more than 8190 bytes.", {}


class UnknownCoding(Problem):
    type = "transfer-coding"
    status = HTTPStatus.NOT_IMPLEMENTED
    meaning = "The transfer coding of the body is not known."
    advice = "Send a `Content-Length`, or chunks."
    sample = "The only transfer coding is `chunked`.", {}


class WrongType(Problem):
    type = "media-type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    meaning = "The content type, its charset or its coding is none that is taken here."
    advice = "Send one of those that the message names."
    sample = "The content type must be application/json.", {}


# ---------------------------------------------------------------- nothing is done for it


class Refused(Problem):
    """reason: for who runs the service. Whoever asked is not told what is wrong with a key: it may not be theirs."""

    def __init__(self, reason: Refusal, message: str, **headers: str) -> None:
        super().__init__(message, None, **headers)
        self.reason = reason


class Unauthorized(Refused):
    type = "unauthorized"
    status = HTTPStatus.UNAUTHORIZED
    meaning = "There is no API key, or none that is valid."
    advice = "Send one, as `Authorization: Bearer nsk_…`; who runs the service makes them."
    sample = "An API key is needed, as `Authorization: Bearer …`.", {}
    answer_headers = _CHALLENGE

    def __init__(self, reason: Refusal, message: str | None = None) -> None:
        challenge = 'Bearer realm="notification-service"'
        if reason is not Refusal.NO_KEY:
            message = message or "This is no valid API key: unknown, revoked, or expired."
            challenge += ', error="invalid_token"'
        super().__init__(reason, message or self.sample[0], WWW_Authenticate=challenge)


class TooSmall(Refused):
    type = "scope"
    status = HTTPStatus.FORBIDDEN
    meaning = "The API key is not for this: its scope is too small."
    advice = "Use a key of the scope that the message names."
    sample = "The scope of this API key must be write.", {}
    answer_headers = _CHALLENGE

    def __init__(self, scope: str, *, is_test: bool = False) -> None:
        """scope: the least that would do. is_test: it is a test key."""
        challenge = f'Bearer realm="notification-service", error="insufficient_scope", scope="{scope}"'
        why = f"The scope of this API key must be {scope}{_OF_TEST if is_test else ''}."
        super().__init__(Refusal.SCOPE, why, WWW_Authenticate=challenge)


_OF_TEST = ": one of the scope test makes mailings, which reach no provider, and changes nothing else"


class Forged(Refused):
    type = "forged"
    status = HTTPStatus.FORBIDDEN
    meaning = "It does not come from the provider: the secret or the signature is not the one of its profile."
    advice = "Compare what the provider's account has with its profile; where it signs addresses, PUBLIC_URL, too."
    sample = "This does not come from the provider.", {}

    def __init__(self, **headers: str) -> None:
        super().__init__(Refusal.FORGED, self.sample[0], **headers)


class WrongCredentials(Forged):
    type = "credentials"
    status = HTTPStatus.UNAUTHORIZED
    meaning = "It does not come from the provider: name or password are not those of its profile."
    sample = "Name and password of the provider are needed.", {}
    answer_headers = _CHALLENGE

    def __init__(self) -> None:
        super().__init__(WWW_Authenticate='Basic realm="receipts"')


class OtherSite(Refused):
    type = "other-site"
    status = HTTPStatus.FORBIDDEN
    meaning = "Without keys the service is for programs on its own machine: a page of another site asks."
    advice = "Ask by the loopback address, or have the service use keys (`API_AUTH=on`)."
    sample = "Without keys this API is for programs on its own machine, not for pages of other sites.", {}

    def __init__(self) -> None:
        super().__init__(Refusal.OTHER_SITE, self.sample[0])


class TooMany(Refused):
    type = "too-many-requests"
    status = HTTPStatus.TOO_MANY_REQUESTS
    meaning = (
        "More requests a second than API_RATE allows, more of one key at the same time than half of the threads of a"
        " process, or too many connections of one address."
    )
    advice = "Try again when `Retry-After` says."
    sample = "Too many requests in this second.", {}
    answer_headers = _AGAIN

    def __init__(self, reason: Refusal, message: str, retry_after: int = 1) -> None:
        """retry_after: seconds."""
        super().__init__(reason, message, Retry_After=str(retry_after))


class TooManyImports(TooMany):
    type = "too-many-imports"
    meaning = "Too many imports are running here."
    sample = "2 imports are running here already.", {}


class TooManyExports(TooMany):
    type = "too-many-exports"
    meaning = "Too many lists are being taken as files here."
    sample = "2 exports are running here already.", {}


# ---------------------------------------------------------------- what is asked for is not there, or not like this


class NotFound(Problem):
    type = "not-found"
    status = HTTPStatus.NOT_FOUND
    meaning = "There is no such thing, or no more."
    advice = "Look at the id, and at the address: a path ends with a slash."
    sample = "There is no client 1.", {}


class NoSuchMethod(Problem):
    type = "method"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    meaning = "Not with this method."
    advice = "The header `Allow` has those that there are."
    sample = "The method is not allowed for the requested URL.", {}


class Invalid(Problem):
    type = "invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    meaning = "A field of the body, or of the query, is not valid or not known; `errors` names it. Nothing was changed."
    advice = "Mend what `errors` names."
    sample = (
        "The request is not valid: `errors` says where.",
        {"json": {"timezone": ["Must be an IANA time zone such as Europe/Moscow."]}},
    )

    def __init__(self, errors: Mapping[str, Any], place: str = "json") -> None:
        super().__init__(self.sample[0], errors, place)

    @classmethod
    def everywhere(cls, errors: Places) -> "Invalid":
        """errors: by place."""
        problem = cls({})
        problem.errors = errors
        return problem


class NoReceipts(Problem):
    type = "no-receipts"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    meaning = "There is no receipt in it where the provider's profile has one. Nothing was changed."
    advice = "Compare what the provider sends with the section `receipts` of its profile."
    sample = "There is no list of receipts where the profile has it.", {}


class KeyReused(Invalid):
    type = "idempotency-key-reused"
    meaning = "This `Idempotency-Key` was used for another request. Nothing was changed."
    advice = "Use a new key for each thing that is to be done; a random one will do."
    sample = (
        "The request is not valid: `errors` says where.",
        {"headers": {"Idempotency-Key": ["Was used for another request: another path, query or body."]}},
    )


class Changed(Problem):
    type = "changed"
    status = HTTPStatus.PRECONDITION_FAILED
    meaning = "It is not as whoever asks has seen it: none of the tags in `If-Match` is that of its revision."
    advice = "Get it again, look at what somebody has changed, and send the change with the new `ETag`."
    sample = "It has been changed: its revision is 8.", {}
    answer_headers: ClassVar[Mapping[str, str]] = {"ETag": "Of its revision."}


class Conflict(Problem):
    """Not possible in the present state of things; nothing was changed."""

    status = HTTPStatus.CONFLICT


class Taken(Conflict):
    type = "taken"
    meaning = "Another one has this value, and no two may share it. Nothing was changed."
    advice = "Look up who has it, with a filter of the list, and change that one."
    sample = "Another client has this phone.", {"json": {"phone": ["Belongs to another client."]}}


class Frozen(Conflict):
    type = "frozen"
    meaning = "A field that would have to change may not any more. Nothing was changed."
    advice = "Leave the field as it is, or cancel the mailing and create another one."
    sample = (
        "The mailing is running.",
        {"json": {"text": ["Is frozen since the launch: cancel the mailing and create another one."]}},
    )


class TooLate(Conflict):
    type = "too-late"
    meaning = "It is over: this makes no sense any more. Nothing was changed."
    advice = "Nothing has to be done; create another one where more is to happen."
    sample = "The mailing is finished: it is too late to pause it.", {}


class IsDraft(Conflict):
    type = "draft"
    meaning = "The mailing is a draft: nothing happens until it is started. Nothing was changed."
    advice = "Start it first; a draft that nobody wants can be cancelled, or deleted."
    sample = "The mailing is a draft: start it before you pause it.", {}


class Gone(Conflict):
    type = "gone"
    meaning = "What this would be made of is not kept any more. Nothing was changed."
    advice = "Make one from what there is now."
    sample = (
        "Mailing 1 cannot be repeated: something that its filter names is not there any more.",
        {"json": {"filter": {"imports": ["There is no import 7; they are kept for 90 days."]}}},
    )


class InUse(Conflict):
    type = "in-use"
    meaning = "Something else names it, and would not know what is meant any more. Nothing was changed."
    advice = "Change, cancel or delete first what the message names."
    sample = "Segment 1 is named by segment 4, mailing 7.", {}


class Blocked(Conflict):
    """errors: sentences by the type of a blocker; with another place by field, where something is missing."""

    type = "blocked"
    meaning = "Something stands in the way of the start: it is missing, or nothing would be sent. Nothing was changed."
    advice = "Mend what `errors` names, each as docs/preflight.md says; `GET /mailings/{id}/preflight/` has it all."
    sample = "The mailing cannot be started.", {"preflight": {"nobody": ["No client matches the filter."]}}

    def __init__(self, errors: Mapping[str, Any], place: str = "preflight") -> None:
        super().__init__(self.sample[0], errors, place)


class TooEarly(Conflict):
    type = "too-early"
    meaning = "It is not over: this is known when it is."
    advice = "Ask again when the mailing is finished."
    sample = "The mailing has more than 500,000 messages: they are counted when it is finished.", {}


class InProgress(Conflict):
    type = "in-progress"
    meaning = "The first request with this `Idempotency-Key` is still under way."
    advice = "Ask again in a moment: then it is answered as the first one was."
    sample = "The first request with this key is still under way.", {}


class KeyIsOver(Conflict):
    """On the command line only, so it is none of the list."""


# ---------------------------------------------------------------- the service is at fault


class Defect(Problem):
    type = "defect"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    meaning = "A defect of the service. The log has the details under the answer's X-Request-ID."
    advice = "Tell who runs the service that id."
    sample = "The server encountered an internal error.", {}


class Unavailable(Problem):
    type = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    meaning = "The database does not answer, or not in time, or there are too many connections, or a key is missing."
    advice = "Try again when `Retry-After` says; a `POST` that creates something under the same `Idempotency-Key`."
    sample = "The database is not available.", {}
    answer_headers = _AGAIN
