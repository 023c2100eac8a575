"""How large jobs are, and what goes into which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher_service.leading.jobs import BEGIN_WITH, MOST, job_size, pack
from shared.domain.job import Piece, Urgency


@pytest.mark.parametrize(
    ("paces", "concurrency", "rate", "size"),
    [
        ((), 1000, 0.0, BEGIN_WITH),
        ((), 50, 0.0, 50),
        ((0.0, 0.0), 50, 0.0, 50),
        ((400.0,), 50, 0.0, 100),
        ((400.0, 0.0, 200.0), 50, 0.0, 75),  # one that rests says nothing
        ((2.0,), 50, 0.0, 1),
        ((100_000.0,), 50, 0.0, MOST),
        ((), 1000, 20.0, 5),
        ((0.0,) * 10, 1000, 20.0, 1),
        ((400.0, 400.0), 1000, 100.0, 12),
        ((1.0, 1.0), 1000, 100_000.0, 1),
    ],
)
def test_a_job_is_a_quarter_of_a_seconds_work(
    paces: tuple[float, ...], concurrency: int, rate: float, size: int
) -> None:
    assert job_size(paces, concurrency, rate) == size


def piece(mailing_id: int, *message_ids: int) -> Piece:
    return Piece(mailing_id, 0, Urgency(1, float(mailing_id)), message_ids)


def test_small_pieces_share_a_job_and_large_ones_have_several() -> None:
    jobs = pack([piece(1, 11, 12), piece(2, 21), piece(3, 31, 32, 33, 34)], 3, 7.5)
    assert [[(one.mailing_id, one.message_ids) for one in job] for job in jobs] == [
        [(1, (11, 12)), (2, (21,))],
        [(3, (31, 32, 33))],
        [(3, (34,))],
    ]
    assert {job.read_at for job in jobs} == {7.5}


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 40))
def test_every_message_is_in_one_job_and_no_job_is_too_large(sizes: list[int], size: int) -> None:
    pieces = [piece(number, *range(1, count + 1)) for number, count in enumerate(sizes, 1)]
    jobs = pack(pieces, size, 0.0)
    assert [(one.mailing_id, message_id) for job in jobs for one in job for message_id in one.message_ids] == [
        (one.mailing_id, message_id) for one in pieces for message_id in one.message_ids
    ]
    assert all(job.size == size for job in jobs[:-1])
    assert all(0 < job.size <= size for job in jobs)
