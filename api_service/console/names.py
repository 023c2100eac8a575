"""What states, errors and actions are called on the console. A sentence of its own for each: what the API calls
`unknown` says nothing to somebody who has never read its document."""

from collections.abc import Mapping

from api_service.console.language import gettext
from api_service.console.language import marked as _
from api_service.directory.progress import ImportState
from api_service.operations.provider_schema import ProviderState
from api_service.web.key import Scope
from shared.domain.mailing import MailingState
from shared.domain.message import Error, MessageState
from shared.domain.reason import Reason
from shared.domain.receipt import DELIVERED, UNDELIVERED, UNKNOWN_DELIVERED, UNKNOWN_UNDELIVERED, ReceiptState
from shared.domain.waiting import Waiting

STATES = {
    MailingState.DRAFT: _("Draft"),
    MailingState.SCHEDULED: _("Scheduled"),
    MailingState.RUNNING: _("Running"),
    MailingState.PAUSED: _("Paused"),
    MailingState.FINISHED: _("Finished"),
    MailingState.CANCELLED: _("Cancelled"),
}

STATUSES = {
    MessageState.PENDING: (_("waiting"), _("waits for its turn")),
    MessageState.SENDING: (_("being sent"), _("is handed to the provider at this moment")),
    MessageState.RETRYING: (_("tried again"), _("waits for another attempt")),
    MessageState.SENT: (_("sent"), _("the provider has taken it")),
    MessageState.FAILED: (_("failed"), _("refused, or all attempts were used up; not delivered")),
    MessageState.UNKNOWN: (_("unknown"), _("ended without an answer that says yes; it may have been delivered")),
    MessageState.EXPIRED: (_("too late"), _("the mailing was over before it could be sent; not delivered")),
    MessageState.CANCELLED: (_("cancelled"), _("the mailing was cancelled, or the client removed; not delivered")),
    MessageState.SKIPPED: (_("left out"), _("not sent, for a reason that is kept with it")),
}

ERRORS: Mapping[str, str] = {
    Error.REJECTED: _("the provider refused this message for good"),
    Error.UNAUTHORIZED: _("the provider does not accept our credentials"),
    Error.UNPAID: _("the account with the provider is empty or closed"),
    Error.WRONG_ADDRESS: _("there is no provider at the address that is set"),
    Error.REDIRECTED: _("the provider points to another address"),
    Error.RATE_LIMITED: _("too many calls for the provider"),
    Error.SERVER_ERROR: _("the provider failed"),
    Error.DECLINED: _("the provider said no"),
    Error.BAD_ANSWER: _("the provider's answer made no sense"),
    Error.CONTRADICTION: _("the provider's answer said yes and no"),
    Error.UNREACHABLE: _("the provider could not be reached"),
    Error.PROVIDER_DOWN: _("the provider served nobody"),
    Error.TIMED_OUT: _("the provider did not answer in time"),
    Error.CONNECTION_LOST: _("the connection broke before the answer"),
    Error.LEASE_LOST: _("the program that was sending it disappeared"),
    Error.RESTORED: _("the database was restored to an earlier moment; it may have been sent since"),
    Reason.OPTED_OUT: _("they do not want to be written to"),
    Reason.MISSING_VALUE: _("their text lacks a value"),
    Reason.TOO_LONG: _("their text would be too long"),
}

_WAITING = {
    Waiting.DRAFT: _("until somebody starts it"),
    Waiting.START: _("until it begins"),
    Waiting.LAUNCH: _("until there is a message for each of the people"),
    Waiting.PAUSED: _("until somebody lets it go on"),
    Waiting.WINDOW: _("for the hours in which people may be written to"),
    Waiting.RETRY: _("to be tried again"),
    Waiting.HELD: _("alone: its calls come to nothing, those of others do not"),
    Waiting.NO_DISPATCHER: _("for a dispatcher: none is at work"),
    Waiting.PROVIDER_DOWN: _("for the provider, which serves nobody"),
    Waiting.OTHERS: _("behind more urgent mailings"),
    Waiting.RATE: _("for the rate that is set for this service"),
    Waiting.PROVIDER_LIMITED: _("for the provider, which takes no more at a time"),
    Waiting.PACE: _("for their turn: they go out as fast as can be"),
}
"""What messages wait for."""

_IMPORT_STATES = {
    ImportState.RUNNING: _("is being read"),
    ImportState.FINISHED: _("was read to its end"),
    ImportState.BROKEN: _("broke off"),
}

_COLUMNS = {
    "phone": _("phone"),
    "operator_code": _("operator code"),
    "tag": _("tag"),
    "timezone": _("time zone"),
}
_OF_ATTRIBUTES = "attributes."

_ACTIONS = {
    "create": _("created"),
    "change": _("changed"),
    "delete": _("deleted"),
    "erase": _("erased"),
    "import": _("imported"),
    "start": _("started"),
    "test": _("tried out"),
    "pause": _("paused"),
    "resume": _("resumed"),
    "cancel": _("cancelled"),
    "revoke": _("revoked"),
    "rotate": _("given a new key"),
    "end": _("signed out"),
    "recover": _("given up after a restore"),
}

_PROVIDER_STATES = {
    ProviderState.UP: (_("works"), _("Messages go through it.")),
    ProviderState.DOWN: (
        _("does not work"),
        _("Nothing gets done there: the dispatchers wait for it to answer again, and look now and then."),
    ),
    ProviderState.PAUSED: (_("paused"), _("Somebody has paused it: nothing is called through it.")),
    ProviderState.UNSEEN: (_("not in use"), _("No dispatcher that is at work has it.")),
}

_SCOPES = {
    Scope.READ: (_("look"), _("see clients, mailings and figures, and change nothing")),
    Scope.TEST: (_("rehearse"), _("make mailings that are tests and reach nobody; it sees no other ones")),
    Scope.WRITE: (_("send"), _("also write, start, pause and cancel mailings, and change clients")),
    Scope.ADMIN: (_("administer"), _("also make and revoke keys, see who changed what, and pause providers")),
}

_RECEIPTS = {
    DELIVERED: _("delivered"),
    UNDELIVERED: _("not delivered"),
    UNKNOWN_DELIVERED: _("delivered, of those that ended as unknown"),
    UNKNOWN_UNDELIVERED: _("not delivered, of those that ended as unknown"),
    ReceiptState.AWAITING: _("on its way"),
}


def provider_state(of: ProviderState) -> str:
    return gettext(_PROVIDER_STATES[of][0])


def provider_meaning(of: ProviderState) -> str:
    return gettext(_PROVIDER_STATES[of][1])


def scope(of: str) -> str:
    return gettext(_SCOPES[Scope(of)][0])


def scope_meaning(of: str) -> str:
    return gettext(_SCOPES[Scope(of)][1])


def receipt(of: str) -> str:
    """Of one, or of a figure of them."""
    return gettext(_RECEIPTS[of])


def state(of: MailingState) -> str:
    return gettext(STATES[of])


def status(of: MessageState) -> str:
    return gettext(STATUSES[of][0])


def status_meaning(of: MessageState) -> str:
    return gettext(STATUSES[of][1])


def waiting(of: Waiting) -> str:
    return gettext(_WAITING[of])


def error(of: str) -> str:
    """Of one that a later version of the service has written, what it wrote."""
    return gettext(ERRORS[of]) if of in ERRORS else of


def import_state(of: ImportState) -> str:
    return gettext(_IMPORT_STATES[of])


def column(taken_as: str | None) -> str:
    """What a column of a file was taken for; None: nothing."""
    if taken_as is None:
        return gettext("nothing")
    if taken_as.startswith(_OF_ATTRIBUTES):
        return gettext("attribute %(name)s") % {"name": taken_as.removeprefix(_OF_ATTRIBUTES)}
    return gettext(_COLUMNS[taken_as]) if taken_as in _COLUMNS else taken_as


def action(of: str) -> str:
    return gettext(_ACTIONS[of]) if of in _ACTIONS else of
