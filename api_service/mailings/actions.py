"""What can be done with mailings: a function is a use case, and one transaction."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from api_service.mailings import rules, store
from api_service.mailings.rules import Action
from api_service.mailings.schema import SETTABLE, MailingSchema
from api_service.web.filters import for_audit
from api_service.web.page import Listing, Part
from api_service.web.parts import Announcer
from api_service.web.work import Work, moment
from shared.database.models import Mailing
from shared.domain.mailing import ENDED, mailing_state
from shared.ledger.figures import Figures

View = dict[str, Any]

_told = MailingSchema(only=SETTABLE | {"fixed_segments"})


def list_part(work: Work, part: Part, filters: Mapping[str, Any], *, newest_first: bool = False) -> Listing[View]:
    """Of those that are not deleted, in the order of ids. filters: values by member; a reference is one of whoever
    asks."""
    with work.look() as session:
        listing = store.list_part(session, part, filters, work.actor.owner, newest_first=newest_first)
        figures = store.figures(session, listing.rows)
        now = moment(session.connection())
    return listing.of(lambda row: store.shown(row, figures[row.id], now))


def find(work: Work, mailing_id: int) -> View:
    """Raises NotFound."""
    with work.read() as session:
        mailing = store.find(session, mailing_id)
        figures = store.figures(session, [mailing])
        now = moment(session.connection())
    return store.shown(mailing, figures[mailing.id], now)


def create(work: Work, announcer: Announcer, values: Mapping[str, Any]) -> View:
    """Raises Invalid, Taken."""
    with work.act() as act:
        now = moment(act.connection)
        mailing = store.create(act.session, values, work.actor.owner, now)
        if not mailing.test:
            act.entries.shown(1)
        act.note("create", "mailing", mailing.id, values.keys(), after=_values(mailing))
        act.afterwards(partial(announcer.announce, mailing.id))
    return store.shown(mailing, Figures(), now)


def change(work: Work, announcer: Announcer, mailing_id: int, values: Mapping[str, Any]) -> View:
    """Raises NotFound, Changed, Frozen, Invalid, Taken."""
    with work.act() as act:
        mailing = store.find(act.session, mailing_id, lock=True)
        act.expect(mailing.revision)
        now, before = moment(act.connection), _values(mailing)
        if changed := store.change(act.session, mailing, values, work.actor.owner, now):
            before, after = _only(before, changed), _only(_values(mailing), changed)
            act.note("change", "mailing", mailing_id, changed, before=before, after=after)
        figures = store.figures(act.session, [mailing])
        if "starts_at" in changed and rules.is_due(mailing, now):
            act.afterwards(partial(announcer.announce, mailing_id))
    return store.shown(mailing, figures[mailing_id], now)


def delete(work: Work, mailing_id: int) -> None:
    """Hides it for good, and cancels it if it is not over. The row stays: its figures belong to the reports. Raises
    NotFound, Changed."""
    with work.act() as act:
        mailing = store.find(act.session, mailing_id, lock=True)
        act.expect(mailing.revision)
        now = moment(act.connection)
        if mailing_state(mailing, now) not in ENDED:
            mailing.cancelled_at = now
        mailing.deleted_at, mailing.reference = now, None
        if not mailing.test:  # which no total has
            act.entries.shown(-1)
        if mailing.finished_at is not None and not mailing.test:  # else it is taken out when it is finished
            act.entries.hidden(store.figures(act.session, [mailing])[mailing_id])
        act.note("delete", "mailing", mailing_id)


def perform(work: Work, announcer: Announcer, action: Action, mailing_id: int) -> View:
    """Pause, resume, cancel. Repeating one is harmless. Raises NotFound, TooLate."""
    with work.act() as act:
        mailing = store.find(act.session, mailing_id, lock=True)
        now = moment(act.connection)
        store.check_possible(mailing, action, now)
        if action is Action.RESUME and mailing.paused_at and mailing.audience_limit is not None:
            act.entries.look(mailing_id)  # nobody looked while it was paused
        if rules.perform(action, mailing, now):
            act.note(action, "mailing", mailing_id)
        figures = store.figures(act.session, [mailing])
        if action is Action.RESUME and rules.is_due(mailing, now):
            act.afterwards(partial(announcer.announce, mailing_id))
    return store.shown(mailing, figures[mailing_id], now)


def _values(mailing: Mailing) -> dict[str, Any]:
    """As in JSON. What a user calls it may be somebody's name, so it is left out."""
    values: dict[str, Any] = _told.dump(mailing)
    values["filter"] = for_audit(values["filter"])
    return {name: value for name, value in values.items() if name != "reference"}


def _only(values: Mapping[str, Any], members: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in members}
