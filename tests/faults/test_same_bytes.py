"""Whoever dies between making a text, calling and recording: the provider gets one text for a message."""

import random
import signal

import pytest

from shared.domain.message import OPEN_STATES
from tests.e2e.conftest import StartSystem
from tests.e2e.system import is_over
from tests.faults.stage import DISPATCHER
from tests.faults.test_kills import AT_A_POINT, FEW, LONG
from tests.faults.witness import Witness
from tests.support.gateway import ACCEPTED, gateway
from tests.support.waiting import patience

BEFORE, AFTER = "Anna", "Maria"

# Which name is sent after a dispatcher has died there and the name has changed: the one of before, once a call may have
# been written.
POINTS = {
    "claim-before-commit": AFTER,
    "claim-after-commit": BEFORE,
    "call-before-record": BEFORE,
    "record-before-commit": BEFORE,
    "record-after-commit": BEFORE,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("text", ["Hello {{ name }}", "{% if name %}Hello {{ name | capitalize }}{% endif %}"])
def test_kills_change_no_byte(start_system: StartSystem, chance: random.Random, text: str) -> None:
    with gateway(lambda _asked: ACCEPTED) as provider:
        system = start_system("table", dispatchers=0, module=DISPATCHER, PROVIDER_URL=provider.url, **AT_A_POINT)
        system.fill(FEW)
        with Witness(system.database_url) as witness:
            for number, (point, name) in enumerate(POINTS.items()):
                _know(witness, BEFORE)
                provider.asked.clear()
                system.begin_dispatcher(f"victim-{number}", FAULT_POINT=f"{point}:{FEW}")
                mailing_id = system.mail(text=text)
                assert system.processes.wait(f"victim-{number}", patience(30)) == -signal.SIGKILL
                _know(witness, AFTER)
                witness.pass_time(LONG)
                for heir in (f"heir-{number}", f"second-{number}"):
                    system.start_dispatcher(heir)
                system.until_figures(mailing_id, is_over, "every message in a final state", within=patience(60))
                for heir in (f"heir-{number}", f"second-{number}"):
                    assert system.processes.stop(heir) == 0
                got = provider.texts()
                assert len(got) == FEW
                assert {one for texts in got.values() for one in texts} == {f"Hello {name}"}, point
                kept = {system.api.message(message_id)["text"] for message_id in got}
                assert kept == {f"Hello {name}"}, point
            assert not witness.states().keys() & OPEN_STATES


def _know(witness: Witness, name: str) -> None:
    witness.books.run("update clients set attributes = jsonb_build_object('name', cast(:name as text))", name=name)
