"""Jobs come out as they went in, and whatever else comes in is an UndecodableJob."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import OutdatedJob, UndecodableJob
from shared.domain.job import MAX_IDS, DispatchJob, LaunchJob, Piece, Urgency, WakeUp

Kind = type[LaunchJob] | type[WakeUp] | type[DispatchJob]

kinds = pytest.mark.parametrize("kind", [LaunchJob, WakeUp, DispatchJob])
of_a_mailing = pytest.mark.parametrize("kind", [LaunchJob, WakeUp])
ids = st.integers(1, 2**63 - 1)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(ids)
def test_a_launch_job_comes_out_as_it_went_in(mailing_id: int) -> None:
    job = LaunchJob(mailing_id)
    assert LaunchJob.decode(job.encode()) == job


@given(ids, st.lists(ids, min_size=1))
def test_a_wake_up_comes_out_as_it_went_in(mailing_id: int, message_ids: list[int]) -> None:
    job = WakeUp(mailing_id, tuple(message_ids))
    assert WakeUp.decode(job.encode()) == job


pieces = st.builds(
    Piece,
    mailing_id=ids,
    lane=st.integers(0, 32767),
    urgency=st.builds(Urgency, rank=st.integers(0, 2), ends_at=st.floats(0, 1e11)),
    message_ids=st.lists(ids, min_size=1, max_size=20).map(tuple),
)


@given(st.floats(0, 1e11), st.lists(pieces, min_size=1, max_size=5))
def test_a_dispatch_job_comes_out_as_it_went_in(read_at: float, of: list[Piece]) -> None:
    job = DispatchJob(read_at, tuple(of))
    assert DispatchJob.decode(job.encode()) == job


def _of(*sizes: int) -> DispatchJob:
    return DispatchJob(7.5, tuple(Piece(1, 0, Urgency(1, 9.0), tuple(range(1, size + 1))) for size in sizes))


def test_the_largest_job_can_be_read() -> None:
    for sizes in ((MAX_IDS,), (MAX_IDS - 1, 1)):
        assert DispatchJob.decode(_of(*sizes).encode()) == _of(*sizes)
    for sizes in ((MAX_IDS + 1,), (MAX_IDS, 1)):
        with pytest.raises(UndecodableJob):
            DispatchJob.decode(_of(*sizes).encode())


def test_a_job_of_the_version_before_is_known_as_such() -> None:
    with pytest.raises(OutdatedJob):
        DispatchJob.decode(b'{"v": 1, "mailing_id": 1, "message_ids": [1]}')


def _decode(kind: Kind, body: bytes) -> None:
    """Whatever is decoded means what it says; everything else is an UndecodableJob with a reason in a short line."""
    reason = None
    try:
        job = kind.decode(body)
    except UndecodableJob as error:
        reason = str(error)
    if reason is None:
        fields = json.loads(body)
        assert job.encode() == kind.decode(job.encode()).encode()
        assert fields["mailing_id"] == job.mailing_id if kind is not DispatchJob else fields["pieces"]
    else:
        assert len(reason.splitlines()) == 1
        assert len(reason) < 200


@kinds
@given(body=st.binary())
def test_bytes_are_no_job(kind: Kind, body: bytes) -> None:
    _decode(kind, body)


@kinds
@given(fields=anything)
def test_json_of_any_shape_is_no_job(kind: Kind, fields: object) -> None:
    _decode(kind, json.dumps(fields).encode())


@kinds
@given(
    version=st.just(1) | anything,
    mailing_id=ids | anything,
    message_ids=st.lists(ids | anything, max_size=3) | anything,
    urgency=st.just([1, 2.5]) | anything,
)
def test_fields_of_any_shape_are_no_job(
    kind: Kind, version: object, mailing_id: object, message_ids: object, urgency: object
) -> None:
    fields = {"mailing_id": mailing_id, "message_ids": message_ids}
    _decode(kind, json.dumps({"v": version, **fields}).encode())
    pieces = [{**fields, "lane": 0, "urgency": urgency}]
    _decode(kind, json.dumps({"v": 2, "read_at": mailing_id, "pieces": pieces}).encode())


@of_a_mailing
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        pytest.param(b"[" * 100_000, "not JSON", id="deep"),
        pytest.param(b"9" * 5000, "not JSON", id="long number"),
        (b"null", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"{}", "version"),
        (b'{"v": 2, "mailing_id": 1, "message_ids": [1]}', "version 2 is not 1"),
        (b'{"v": true, "mailing_id": 1, "message_ids": [1]}', "version"),
        (b'{"v": 1.0, "mailing_id": 1, "message_ids": [1]}', "version"),
        pytest.param(b'{"v": "%s"}' % (b"x" * 100_000), "version", id="long version"),
        (b'{"v": 1, "message_ids": [1]}', "mailing_id"),
        (b'{"v": 1, "mailing_id": 0, "message_ids": [1]}', "mailing_id"),
        (b'{"v": 1, "mailing_id": true, "message_ids": [1]}', "mailing_id"),
        (b'{"v": 1, "mailing_id": 1.0, "message_ids": [1]}', "mailing_id"),
        (b'{"v": 1, "mailing_id": "1", "message_ids": [1]}', "mailing_id"),
        (b'{"v": 1, "mailing_id": 9223372036854775808, "message_ids": [1]}', "mailing_id"),
    ],
)
def test_the_reason_says_what_is_wrong(kind: Kind, body: bytes, reason: str) -> None:
    with pytest.raises(UndecodableJob, match=reason) as raised:
        kind.decode(body)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "message_ids", ["[]", "[0]", "[-1]", "[1, null]", "[true]", "[1.5]", '["1"]', "7", "{}", "[9223372036854775808]"]
)
def test_message_ids_are_ids(message_ids: str) -> None:
    with pytest.raises(UndecodableJob, match="message_ids"):
        WakeUp.decode(f'{{"v": 1, "mailing_id": 1, "message_ids": {message_ids}}}'.encode())
    with pytest.raises(UndecodableJob, match="message_ids"):
        DispatchJob.decode(_fields(message_ids=message_ids))


def _fields(read_at: str = "1", **changed: str) -> bytes:
    members = {"mailing_id": "1", "lane": "0", "urgency": "[1, 2.5]", "message_ids": "[1]"} | changed
    piece = ", ".join(f'"{name}": {value}' for name, value in members.items())
    return f'{{"v": 2, "read_at": {read_at}, "pieces": [{{{piece}}}]}}'.encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (_fields(mailing_id="0"), "mailing_id"),
        (_fields(lane="-1"), "lane"),
        (_fields(lane="true"), "lane"),
        (_fields(urgency="[1]"), "urgency"),
        (_fields(urgency='["1", 2]'), "urgency"),
        (_fields(urgency="[1, NaN]"), "urgency"),
        (_fields(read_at="null"), "read_at"),
        (_fields(read_at="Infinity"), "read_at"),
        (b'{"v": 2, "read_at": 1, "pieces": []}', "pieces"),
        (b'{"v": 2, "read_at": 1, "pieces": [1]}', "pieces"),
        (b'{"v": 3, "read_at": 1, "pieces": [1]}', "version 3 is not 2"),
    ],
)
def test_the_reason_says_what_is_wrong_with_a_piece(body: bytes, reason: str) -> None:
    assert DispatchJob.decode(_fields()).size == 1
    with pytest.raises(UndecodableJob, match=reason):
        DispatchJob.decode(body)
