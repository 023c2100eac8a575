"""What can be done with providers: a function is a use case, and one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api_service.operations.provider_schema import ProviderState
from api_service.web.problems import NotFound
from api_service.web.work import Work, moment
from shared import lanes
from shared.database.models import Provider
from shared.domain.lanes import ANY
from shared.domain.message import Error
from shared.domain.seen import Seen
from shared.lanes import Lanes
from shared.rates.paces import Noted, notes

View = dict[str, Any]


def list_all(work: Work) -> Sequence[View]:
    """In the order in which they were known first; those that the settings do not name any more are left out."""
    with work.look() as session:
        return _views(session, select(Provider).where(Provider.is_there).order_by(Provider.number))


def find(work: Work, name: str) -> View:
    """Raises NotFound."""
    with work.look() as session:
        _find(session, name)
        return _view(session, name)


def change(work: Work, name: str, values: Mapping[str, Any]) -> View:
    """Dispatchers see it within a second. Raises NotFound, Changed."""
    with work.act() as act:
        provider = _find(act.session, name, lock=True)
        act.expect(provider.revision)
        before = _settable(provider)
        if changed := {one: value for one, value in values.items() if before[one] != value}:
            if "weight" in changed:
                provider.weight = changed["weight"]
            if "paused" in changed:
                provider.paused_at = moment(act.connection) if changed["paused"] else None
            provider.revision += 1
            act.session.flush()
            act.note("change", "provider", name, changed, before={one: before[one] for one in changed}, after=changed)
        return _view(act.session, name)


def _find(session: Session, name: str, *, lock: bool = False) -> Provider:
    query = select(Provider).where(Provider.name == name, Provider.is_there)
    found = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound(f"There is no provider {name}.")
    return found


def _view(session: Session, name: str) -> View:
    (view,) = _views(session, select(Provider).where(Provider.name == name))
    return view


def _views(session: Session, query: Any) -> list[View]:
    noted, known = notes(session.connection()), lanes.read(session.connection())
    seen = {one.name: _seen(one.name, noted) for one in known.providers.values()}
    views = [_shown(provider, seen[provider.name]) for provider in session.scalars(query)]
    parts = _parts(known, {name for name, each in seen.items() if any(not one["open"] for _, one in each)})
    return [view | {"share": parts.get(view["name"], 0.0)} for view in views]


def _seen(name: str, noted: Sequence[Noted]) -> Sequence[tuple[datetime, Seen]]:
    return [(one.noted_at, one.seen[name]) for one in noted if name in one.seen]


def _parts(known: Lanes, up: set[str]) -> Mapping[str, float]:
    """Of the messages that may go through any provider."""
    able = [known.providers[number] for number in known.lanes[ANY] if known.providers[number].name in up]
    weights = {one.name: one.weight * one.share for one in able if not one.is_paused}
    if len(known.lanes[ANY]) == 1:
        return dict.fromkeys(weights, 1.0)  # who is alone has all, whatever the weight
    total = sum(weights.values())
    return {name: round(weight / total, 3) for name, weight in weights.items()} if total else {}


def _settable(provider: Provider) -> View:
    weight = provider.given_weight if provider.weight is None else provider.weight
    return {"weight": weight, "paused": provider.paused_at is not None}


def _shown(provider: Provider, seen: Sequence[tuple[datetime, Seen]]) -> View:
    down = [(noted_at - timedelta(seconds=one["open_for"]), one["open"]) for noted_at, one in seen if one["open"]]
    first, reason = min(down, default=(None, None))
    limits = [one["pace"] for _, one in seen]
    if provider.paused_at is not None:
        state, since = ProviderState.PAUSED, provider.paused_at
    elif not seen:
        state, since = ProviderState.UNSEEN, None
    else:
        state, since = (ProviderState.DOWN if len(down) == len(seen) else ProviderState.UP), first
    return {
        "name": provider.name,
        "state": state,
        "down_because": Error(reason) if reason else None,
        "since": since,
        "dispatchers": len(seen),
        "dispatchers_down": len(down),
        "pace": round(sum(one["speed"] for _, one in seen), 1),
        "known_limit": round(sum(one or 0.0 for one in limits), 1) if any(one is not None for one in limits) else None,
        "calls": sum(one["calls"] for _, one in seen),
        "failed": sum(one["failed"] for _, one in seen),
        "counts": provider.share / 100,
        "revision": provider.revision,
        **_settable(provider),
    }
