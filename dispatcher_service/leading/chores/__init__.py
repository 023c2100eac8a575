"""The leader's chores: each brings to an end what nobody else would, and may be left out of a step without harm."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Engine

from dispatcher_service.leading.chores.chore import Chore
from dispatcher_service.leading.chores.close_ended import CloseEnded
from dispatcher_service.leading.chores.delete_leftovers import DeleteLeftovers
from dispatcher_service.leading.chores.drop_parts import DropParts
from dispatcher_service.leading.chores.erase_traces import EraseTraces
from dispatcher_service.leading.chores.halt_refused import HaltRefused
from dispatcher_service.leading.chores.mend_hints import MendHints
from dispatcher_service.leading.chores.note_moments import NoteMoments
from dispatcher_service.leading.chores.reckon_dispatchers import ReckonDispatchers
from dispatcher_service.leading.chores.remember_ids import RememberIds
from dispatcher_service.leading.chores.remove_old import RemoveOld
from dispatcher_service.leading.chores.reroute_messages import RerouteMessages
from dispatcher_service.leading.chores.rescue_leases import RescueLeases
from dispatcher_service.leading.chores.retime_windows import RetimeWindows
from dispatcher_service.leading.chores.settle_hints import Offer, SettleHints
from dispatcher_service.leading.chores.settle_receipts import SettleReceipts
from dispatcher_service.leading.chores.show_figures import ShowFigures
from dispatcher_service.leading.chores.suppress_again import SuppressAgain
from dispatcher_service.leading.chores.turn_parts import TurnParts
from dispatcher_service.leading.chores.wake_waiting import WakeWaiting
from dispatcher_service.leading.chores.weigh_providers import WeighProviders
from dispatcher_service.leading.lease_guard import LeaseGuard
from dispatcher_service.leading.settled_ids import SettledIds
from shared.broker.base import Broker
from shared.domain.retention import Retention


def all_chores(
    attempts: int,
    guard: LeaseGuard,
    offer: Offer,
    longest_rung: timedelta,
    *,
    ids: SettledIds,
    remember: Callable[[int], object],
) -> Sequence[Chore]:
    """In the order in which a step does them. attempts: those of a message at the most. offer: takes mailings that can
    be finished. longest_rung: of the retry ladder. ids, remember: says and takes how far ids are."""
    return (
        RescueLeases(attempts, guard),
        CloseEnded(),
        RetimeWindows(),
        RerouteMessages(),
        WeighProviders(),
        HaltRefused(),
        WakeWaiting(longest_rung),
        SuppressAgain(),
        SettleHints(offer),
        SettleReceipts(),
        MendHints(),
        ShowFigures(),
        ReckonDispatchers(),
        NoteMoments(),
        TurnParts(),
        RememberIds(ids, remember),
    )


def keeping_chores(
    engine: Engine, broker: Broker, retention: Retention, is_over: Callable[[], bool]
) -> Sequence[Chore]:
    """Those of the keeper, which may wait for hours. is_over: whether to begin nothing more."""
    return (
        DropParts(engine, retention, is_over),
        DeleteLeftovers(),
        EraseTraces(),
        RemoveOld(broker, retention),
    )
