"""The model of claim, lease and settle holds, and would show it if it did not: see docs/model/README.md.

In small bounds; `make model` has larger ones.
"""

import pytest

from sandbox.debian import NotInstalled
from tests.model import explorer
from tests.model.explorer import MUTANTS


@pytest.fixture(autouse=True, scope="module")
def _equipped() -> None:
    try:
        explorer.equip()
    except NotInstalled as error:
        pytest.skip(str(error))


def test_no_order_of_steps_and_faults_breaks_a_promise() -> None:
    assert explorer.safety("FAULTS=2").violation is None


def test_nor_with_two_messages_in_a_job() -> None:
    assert explorer.safety("MESSAGES=2", "FAULTS=1", "ACTS=0", "ATTEMPTS=1").violation is None


def test_every_message_comes_to_an_end() -> None:
    assert explorer.liveness("FAULTS=1", "ACTS=1").violation is None


@pytest.mark.parametrize("mutant", MUTANTS)
def test_no_precaution_is_one_too_many(mutant: str) -> None:
    assert explorer.safety(mutant).violation
