"""/console/keys/: the keys of the API."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flask import Response, g

from api_service.access import actions, rules
from api_service.console import reauthentication, rendering
from api_service.console.language import marked as _
from api_service.console.pages import page, see
from api_service.console.query import one_of
from api_service.web import key
from api_service.web.key import Caller, Key, Person, Scope, Token
from api_service.web.parts import asked, working
from api_service.web.problems import Invalid, Taken
from shared import clock, logs

_SIZE = 25
_ID = re.compile("[0-9a-f]{12}")
_CHECKED = ("name", "scope", "days", reauthentication.FIELD)

_log = logs.logger()


class _Which(StrEnum):
    ALL = "all"  # also those that open nothing any more


@page("/keys/", scope=Scope.ADMIN)
def keys() -> Response:
    which = one_of(_Which, "which")
    rows, next_id = actions.list_part(working(), _after(), _SIZE, is_usable=which is None)
    listing = {"rows": rows, "next_id": next_id}
    return rendering.page("keys.html", listing=listing, which=which, now=clock.now())


@page("/keys/new/", scope=Scope.ADMIN)
def new_key() -> Response:
    return _form(_Fields(key.new().id), {})


@page("/keys/new/", scope=Scope.ADMIN, methods=["POST"])
def make_key() -> Response:
    """Its secret is shown by this answer and by no other. A form makes one key, however often it is sent."""
    fields = _Fields.sent(asked().form)
    if faults := fields.faults():
        return _form(fields, faults)
    token, name, scope = Token(fields.id, key.new().secret), fields.name, Scope(fields.scope)
    maker = _own_key()
    try:
        is_new = actions.adopt(working(), token, name, scope, fields.expires_at(), made_by=maker.id if maker else None)
    except Invalid as invalid:
        return _form(fields, {"days": " ".join(invalid.errors["json"]["expires_at"])})
    if not is_new:
        raise Taken(_("This form has made its key already, which was shown once. If it is lost, revoke it."))
    _log.info("api_key_made", key_id=token.id, key_name=name, scope=str(scope))
    response = rendering.page("key_made.html", token=str(token), name=name)
    response.headers["Cache-Control"] = "no-store"
    return response


@page("/keys/<key:key_id>/revoke/", scope=Scope.ADMIN)
def ask_revoke(key_id: str) -> Response:
    return _revoking(key_id, None)


@page("/keys/<key:key_id>/revoke/", scope=Scope.ADMIN, methods=["POST"])
def revoke_key(key_id: str) -> Response:
    if fault := reauthentication.fault(asked().form):
        return _revoking(key_id, fault)
    revoked = actions.revoke(working(), key_id)
    _log.info("api_key_revoked", key_id=key_id, key_name=revoked.name)
    return see("/keys/")


@dataclass(frozen=True, slots=True)
class _Fields:
    """Of a new key, as they stand on the page. id: that it will have. days: until it expires; empty: never."""

    id: str
    name: str = ""
    scope: str = str(Scope.READ)
    days: str = ""

    @staticmethod
    def sent(form: Mapping[str, str]) -> "_Fields":
        given = {name: form.get(name, "").strip() for name in ("id", "name", "scope", "days")}
        return _Fields(**given) if _ID.fullmatch(given["id"]) else _Fields(**given | {"id": key.new().id})

    def faults(self) -> dict[str, str]:
        """Sentences by field."""
        found = {}
        if not rules.is_name(self.name):
            found["name"] = _("Must be 1 to 64 characters that can be seen.")
        if self.scope not in list(Scope):
            found["scope"] = _("Must be one of these.")
        if (self.days or _must_end()) and rules.whole(self.days, 1, rules.MOST_DAYS) is None:
            found["days"] = _("Must be a whole number of days, 1 to 36500.")
        if fault := reauthentication.fault(asked().form):
            found[reauthentication.FIELD] = fault
        return found

    def expires_at(self) -> datetime | None:
        return clock.now() + timedelta(days=int(self.days)) if self.days else None


def _form(fields: _Fields, faults: Mapping[str, str]) -> Response:
    maker = _own_key()
    response = rendering.page(
        "key_new.html",
        fields=fields,
        faults={name: faults.get(name, "") for name in _CHECKED},
        scopes=[str(scope) for scope in Scope],
        until=maker.expires_at if maker else None,
        must_end=_must_end(),
        asks=reauthentication.asks(),
    )
    response.status_code = 422 if faults else 200
    return response


def _revoking(key_id: str, fault: str | None) -> Response:
    """Raises NotFound."""
    one, made = actions.find(working(), key_id)
    own = _own_key()
    response = rendering.page(
        "key_revoke.html",
        one=one,
        made=made,
        is_own=own is not None and own.id == key_id,
        fault=fault,
        asks=reauthentication.asks(),
    )
    response.status_code = 422 if fault else 200
    return response


def _must_end() -> bool:
    """Whether a key that is made now has to say when: one of a person would else outlive what their groups allow."""
    return isinstance(g.get("key"), Person)


def _own_key() -> Key | None:
    """That somebody has signed in with; people whom the identity provider knows have none."""
    reader: Caller | None = g.get("key")
    return reader if isinstance(reader, Key) else None


def _after() -> str:
    """The key behind which the list goes on; empty: it begins."""
    given = asked().args.get("after", "")
    return given if _ID.fullmatch(given) else ""
