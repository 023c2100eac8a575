"""Which lanes there are for which providers, and which of them are closed."""

from shared.domain.lanes import ANY, FIRST_OF_SEVERAL, Entry, Lane, lane_of_code, lane_of_sender, lanes_of
from shared.domain.seen import Seen
from shared.lanes import Known, Lanes, closed, full

EAST, WEST, NORTH = 1, 2, 3
NOBODY: dict[int, tuple[int, ...]] = {}


def test_who_was_always_alone_has_all_in_one_lane() -> None:
    assert lanes_of({1: Entry("seed", operator_codes=("916",))}, {ANY: ()}) == {ANY: Lane((1,))}


def test_who_came_after_another_has_a_lane_of_its_own() -> None:
    assert lanes_of({2: Entry("new")}, {ANY: (1,)}) == {ANY: Lane((2,)), 2: Lane((2,))}


def test_any_and_each_alone() -> None:
    lanes = lanes_of({EAST: Entry("east"), WEST: Entry("west")}, NOBODY)
    assert lanes == {ANY: Lane((EAST, WEST)), EAST: Lane((EAST,)), WEST: Lane((WEST,))}


def test_clients_of_an_operator_go_to_those_that_name_its_code() -> None:
    entries = {
        EAST: Entry("east", operator_codes=("916", "925")),
        WEST: Entry("west", operator_codes=("925",)),
        NORTH: Entry("north"),
    }
    lanes = lanes_of(entries, NOBODY)
    assert lanes[EAST] == Lane((EAST,), ("916",))
    assert lanes[FIRST_OF_SEVERAL] == Lane((EAST, WEST), ("925",))
    assert lane_of_code(lanes) == {"916": EAST, "925": FIRST_OF_SEVERAL}


def test_a_set_of_several_keeps_its_number_and_none_is_given_twice() -> None:
    entries = {
        EAST: Entry("east", operator_codes=("916", "925")),
        WEST: Entry("west", operator_codes=("916",)),
        NORTH: Entry("north", operator_codes=("925",)),
    }
    known = {ANY: (), FIRST_OF_SEVERAL: (EAST, NORTH), FIRST_OF_SEVERAL + 1: ()}
    lanes = lanes_of(entries, known)
    assert lanes[FIRST_OF_SEVERAL].operator_codes == ("925",)
    assert lanes[FIRST_OF_SEVERAL + 2] == Lane((EAST, WEST), ("916",))


def test_a_mailing_goes_to_those_that_may_be_given_its_sender() -> None:
    entries = {
        EAST: Entry("east", senders=("Shop", "News")),
        WEST: Entry("west", senders=("Shop", "Club")),
        NORTH: Entry("north", senders=("Shop", "Club")),
    }
    lanes = lanes_of(entries, NOBODY)
    assert lane_of_sender(lanes) == {"News": EAST, "Club": FIRST_OF_SEVERAL}
    assert lanes[FIRST_OF_SEVERAL].providers == (WEST, NORTH)


def known(**changes: dict[str, object]) -> Lanes:
    providers = {
        number: Known(number, name, True, False, 1, 100)._replace(**changes.get(name, {}))  # type: ignore[arg-type]
        for number, name in ((EAST, "east"), (WEST, "west"))
    }
    return Lanes(providers, {ANY: (EAST, WEST), EAST: (EAST,), WEST: (WEST,)}, {}, {}, 0)


def seen(**is_open: bool) -> dict[str, Seen]:
    return {
        name: Seen(
            open="timed_out" if each else None,
            open_for=0,
            pace=None,
            limited=False,
            speed=50,
            calls=0,
            failed=0,
            seconds=0,
            full=each,
        )
        for name, each in is_open.items()
    }


def test_a_lane_is_closed_when_no_dispatcher_can_send_anything_there() -> None:
    assert closed(known(), [seen(east=True, west=False)]) == {EAST}
    assert closed(known(), [seen(east=True, west=True), seen(east=False, west=True)]) == {WEST}
    assert closed(known(), [seen(east=True, west=True)]) == {ANY, EAST, WEST}
    assert closed(known(west={"is_paused": True}), [seen(east=True, west=False)]) == {ANY, EAST, WEST}
    assert closed(known(west={"weight": 0}), [seen(east=True, west=False)]) == {ANY, EAST}
    assert closed(known(), [seen(east=False)]) == {WEST}  # nobody has it
    assert closed(known(), []) == set()  # nobody has said anything


def test_where_there_is_one_provider_nobody_is_to_be_let_past() -> None:
    alone = Lanes({1: Known(1, "seed", True, True, 1, 100)}, {ANY: (1,)}, {}, {}, 0)
    assert closed(alone, [seen(seed=True)]) == set()


def test_a_lane_is_full_when_all_that_are_up_are() -> None:
    one, other = seen(east=False, west=False), seen(east=False, west=False)
    assert full(known(), [one, other]) == {}
    one["east"]["full"] = other["east"]["full"] = True
    assert full(known(), [one, other]) == {EAST: 100.0}
    one["west"]["full"] = other["west"]["full"] = True
    assert full(known(), [one, other]) == {ANY: 200.0, EAST: 100.0, WEST: 100.0}
