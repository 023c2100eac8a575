"""What can be done with mailings: a function is a use case, and one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from api_service.mailings import outlook_store, rules, starting, store
from api_service.mailings.rules import Action
from api_service.mailings.schema import SETTABLE, MailingSchema
from api_service.web.filters import for_audit
from api_service.web.page import Listing, Part
from api_service.web.parts import Announcer
from api_service.web.problems import Gone, Invalid
from api_service.web.work import Act, Work, moment
from shared.database.models import Mailing
from shared.domain.mailing import ENDED, mailing_state
from shared.ledger.fold import take_out

View = dict[str, Any]

_told = MailingSchema(only=SETTABLE | {"fixed_segments"})


def list_part(work: Work, part: Part, filters: Mapping[str, Any], *, newest_first: bool = False) -> Listing[View]:
    """Of those that are not deleted, in the order of ids. filters: values by member; a reference is one of whoever
    asks."""
    with work.look() as session:
        listing = store.list_part(session, part, filters, work.actor.owner, newest_first=newest_first)
        views = _views(session, listing.rows)
    return listing.of(lambda row: views[row.id])


def find(work: Work, mailing_id: int) -> View:
    """Raises NotFound."""
    with work.read() as session:
        return _views(session, [store.find(session, mailing_id)])[mailing_id]


def create(work: Work, announcer: Announcer, values: Mapping[str, Any]) -> View:
    """Raises Invalid, Taken."""
    with work.act() as act:
        now = moment(act.connection)
        mailing = _create(act, values, now)
        if not mailing.draft:
            act.afterwards(partial(announcer.announce, mailing.id))
        return _views(act.session, [mailing])[mailing.id]


def clone(work: Work, mailing_id: int) -> View:
    """A draft with all that users can set of a mailing, but what belongs to that one alone: its times, and what they
    call it in their own system. Raises NotFound, Gone."""
    with work.act() as act:
        source, now = store.find(act.session, mailing_id), moment(act.connection)
        values = {name: getattr(source, name) for name in SETTABLE}
        try:
            mailing = _create(act, values | _OF_A_CLONE, now)
        except Invalid as error:
            gone = "something that its filter names is not there any more"
            raise Gone(f"Mailing {mailing_id} cannot be cloned: {gone}.", error.errors["json"]) from error
        return _views(act.session, [mailing])[mailing.id]


def retry(work: Work, announcer: Announcer, mailing_id: int, asked: Mapping[str, Any]) -> View:
    """A mailing with all that users can set of this one, to those of it that ended so. asked: as `RetrySchema` has it.
    Raises NotFound, Gone, Invalid."""
    with work.act() as act:
        source, now = store.find(act.session, mailing_id), moment(act.connection)
        whom = {"retry_states": asked["states"], "retry_errors": asked["errors"]}
        times = {"starts_at": now, **{name: asked[name] for name in _SET_ANEW & asked.keys()}}
        values = {name: getattr(source, name) for name in SETTABLE} | {"draft": False, "reference": None} | times | whom
        mailing = store.create_retry(act.session, source, values, now)
        _enter(act, mailing, {*SETTABLE, *whom, "retry_of"}, _values(mailing) | whom | {"retry_of": mailing_id})
        act.afterwards(partial(announcer.announce, mailing.id))
        return _views(act.session, [mailing])[mailing.id]


_SET_ANEW = {"starts_at", "ends_at", "send_window"}
_OF_A_CLONE = {"draft": True, "starts_at": None, "ends_at": None, "reference": None}


def _create(act: Act, values: Mapping[str, Any], now: datetime) -> Mailing:
    mailing = store.create(act.session, values, act.actor.owner, now)
    _enter(act, mailing, values.keys(), _values(mailing))
    return mailing


def _enter(act: Act, mailing: Mailing, members: Collection[str], values: Mapping[str, Any]) -> None:
    """A new one, in the figures and in the audit."""
    if not mailing.test:
        act.entries.shown(1)
    act.note("create", "mailing", mailing.id, members, after=values)


def change(work: Work, announcer: Announcer, mailing_id: int, values: Mapping[str, Any]) -> View:
    """Raises NotFound, Changed, Frozen, Invalid, Taken."""
    with work.act() as act:
        mailing = store.find(act.session, mailing_id, lock=True)
        act.expect(mailing.revision)
        now, before = moment(act.connection), _values(mailing)
        if changed := store.change(act.session, mailing, values, work.actor.owner, now):
            before, after = _only(before, changed), _only(_values(mailing), changed)
            act.note("change", "mailing", mailing_id, changed, before=before, after=after)
        if "starts_at" in changed and rules.is_due(mailing, now):
            act.afterwards(partial(announcer.announce, mailing_id))
        return _views(act.session, [mailing])[mailing_id]


def delete(work: Work, mailing_id: int) -> None:
    """Hides it for good, and cancels it if it is not over. The row stays: its figures belong to the reports. Raises
    NotFound, Changed."""
    with work.act() as act:
        mailing = store.find(act.session, mailing_id, lock=True)
        act.expect(mailing.revision)
        now = moment(act.connection)
        if mailing_state(mailing, now) not in ENDED:
            rules.perform(Action.CANCEL, mailing, now)
        mailing.deleted_at, mailing.reference = now, None
        if not mailing.test:  # which no total has
            act.entries.shown(-1)
        if mailing.finished_at is not None and not mailing.test:  # else it is taken out when it is finished
            take_out(act.connection, act.entries, [mailing_id])
        act.note("delete", "mailing", mailing_id)


def perform(work: Work, announcer: Announcer, action: Action, mailing_id: int) -> View:
    """Pause, resume, start, cancel. Repeating one is harmless. Raises NotFound, Changed, TooLate, IsDraft, Blocked."""
    with work.act() as act:
        mailing = store.find(act.session, mailing_id, lock=True)
        act.expect(mailing.revision)
        now = moment(act.connection)
        store.check_possible(mailing, action, now)
        if action is Action.START and mailing.draft:
            starting.check(act.connection, mailing, now)
        if action is Action.RESUME and mailing.paused_at and mailing.audience_limit is not None:
            act.entries.look(mailing_id)  # nobody looked while it was paused
        if rules.perform(action, mailing, now):
            act.note(action, "mailing", mailing_id)
        if action in (Action.RESUME, Action.START) and rules.is_due(mailing, now):
            act.afterwards(partial(announcer.announce, mailing_id))
        return _views(act.session, [mailing])[mailing_id]


def _views(session: Session, mailings: Sequence[Mailing]) -> Mapping[int, View]:
    """By id, at this moment."""
    figures, now = store.figures(session, mailings), moment(session.connection())
    ahead = outlook_store.read(session, mailings, figures, now)
    return {one.id: store.shown(one, figures[one.id], now, ahead[one.id]) for one in mailings}


def _values(mailing: Mailing) -> dict[str, Any]:
    """As in JSON. What a user calls it may be somebody's name, so it is left out."""
    values: dict[str, Any] = _told.dump(mailing)
    values["filter"] = for_audit(values["filter"])
    return {name: value for name, value in values.items() if name != "reference"}


def _only(values: Mapping[str, Any], members: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in members}
