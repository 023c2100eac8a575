"""The soak in short: `make soak` is the long form."""

import random
from pathlib import Path

import pytest

from tests.faults.soak import soak
from tests.support.rabbitmq import Private

SECONDS, PAUSE = 10.0, 1.0


@pytest.mark.timeout(600)
def test_a_short_soak(private_rabbitmq: Private, tmp_path: Path, chance: random.Random) -> None:
    report = soak(private_rabbitmq, tmp_path, chance.randrange(10**9), SECONDS, PAUSE)
    print("\n".join(report.lines()))
    assert not report.accounts.lost
    assert not report.accounts.unexplained
    assert report.faults
    assert report.messages
