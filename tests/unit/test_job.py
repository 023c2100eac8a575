"""Jobs come out as they went in, and whatever else comes in is an UndecodableJob."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UndecodableJob
from shared.domain.job import MAX_IDS, DispatchJob, LaunchJob

Kind = type[LaunchJob] | type[DispatchJob]

kinds = pytest.mark.parametrize("kind", [LaunchJob, DispatchJob])
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
def test_a_dispatch_job_comes_out_as_it_went_in(mailing_id: int, message_ids: list[int]) -> None:
    job = DispatchJob(mailing_id, tuple(message_ids))
    assert DispatchJob.decode(job.encode()) == job


def test_the_largest_job_can_be_read() -> None:
    job = DispatchJob(1, tuple(range(1, MAX_IDS + 1)))
    assert DispatchJob.decode(job.encode()) == job
    with pytest.raises(UndecodableJob):
        DispatchJob.decode(DispatchJob(1, tuple(range(1, MAX_IDS + 2))).encode())


def _decode(kind: Kind, body: bytes) -> None:
    """Whatever is decoded means what it says; everything else is an UndecodableJob with a reason in a short line."""
    reason = None
    try:
        job = kind.decode(body)
    except UndecodableJob as error:
        reason = str(error)
    if reason is None:
        assert job.mailing_id == json.loads(body)["mailing_id"]
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
)
def test_fields_of_any_shape_are_no_job(kind: Kind, version: object, mailing_id: object, message_ids: object) -> None:
    _decode(kind, json.dumps({"v": version, "mailing_id": mailing_id, "message_ids": message_ids}).encode())


@kinds
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
        DispatchJob.decode(f'{{"v": 1, "mailing_id": 1, "message_ids": {message_ids}}}'.encode())
