"""Bodies that are bred for the branches they reach: `make fuzz-guided`.

What a provider may answer and what may lie on the broker, against the same laws as the other properties.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["shared.domain.profile", "shared.domain.job", "json"]):
    from shared.domain.job import DispatchJob, LaunchJob
    from shared.domain.profile.answer import Answer
    from shared.domain.profile.provider import Limits
    from shared.domain.profile.reading import Reader
    from shared.providers.loading import seed

from shared.domain.errors import UndecodableJob
from shared.domain.retry import OutcomeKind
from tests.fuzz.reader import has_code_0

READER = Reader(seed("", "", Limits()).reading)
STATUSES = (200, 200, 200, 100, 204, 302, 400, 401, 408, 429, 500, 999)


def check(data: bytes) -> None:
    status, body = STATUSES[data[0] % len(STATUSES)] if data else 200, data[1:]
    outcome = READER.outcome(Answer(status, body))
    assert (outcome.kind is OutcomeKind.ACCEPTED) == (200 <= status < 300 and has_code_0(body))
    for kind in (LaunchJob, DispatchJob):
        with suppress(UndecodableJob):
            job = kind.decode(body)
            assert kind.decode(job.encode()) == job


SEEDS = (
    b'\0{"code": 0, "message": "OK"}',
    b'\0{"code": false, "code": [0.0]}',
    b'\3{"v": 1, "mailing_id": 7}',
    b'\3{"v": 1, "mailing_id": 7, "message_ids": [1, 9223372036854775807]}',
)


if __name__ == "__main__":
    corpus = Path(".local/fuzz")  # what was bred is kept for the next run
    corpus.mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(SEEDS):
        (corpus / str(number)).write_bytes(body)
    atheris.Setup([*sys.argv, str(corpus)], check)
    atheris.Fuzz()
