"""Trouble that lasts is told at once and then ever more rarely, and nothing of its number is lost."""

from dispatcher_service.sending.complaints import FIRST_PAUSE, LONGEST_PAUSE, Complaints


def test_an_hour_of_trouble_is_a_handful_of_lines_that_count_it_all() -> None:
    complaints = Complaints()
    lines = {second: times for second in range(3600) if (times := complaints.count(60, second))}
    assert list(lines)[:4] == [0, FIRST_PAUSE, 3 * FIRST_PAUSE, 7 * FIRST_PAUSE]
    assert len(lines) < 12
    assert sum(lines.values()) == max(lines) + 1


def test_each_kind_counts_for_itself() -> None:
    complaints = Complaints()
    assert [complaints.count(kind, 0.0) for kind in (60, 7, 60, 7)] == [1, 1, 0, 0]


def test_what_went_away_and_comes_again_is_told_at_once() -> None:
    complaints = Complaints()
    complaints.count(60, 0.0)
    complaints.count(60, 1.0)
    assert complaints.count(60, FIRST_PAUSE + LONGEST_PAUSE + 1) == 1
