"""Every drill, carried out; and one whose alarm has a rule that never fires."""

import os
from collections.abc import Iterator
from copy import deepcopy

import pytest

from tests.drills import rules as of_rules
from tests.drills.catalogue import DRILLS
from tests.drills.ground import own_database
from tests.drills.run import run
from tests.drills.scene import Scene, deployed

AS_DEPLOYED = ["provider-down", "mailing-locked", "wrong-mailing-started"]
"""What these do leaves a deployment as it was, and they need nothing that another one has not."""

LAST = "key-leaked"
"""After it the API asks for keys."""

ELSEWHERE = "broker-node-lost"
"""In test_broker_nodes.py, where there are nodes."""

NEEDS_ROOT = {"disk-nearly-full"}


@pytest.fixture(scope="class")
def running() -> Iterator[Scene]:
    with (
        own_database() as ground,
        deployed(ground, of_rules.load(), module="dispatcher_service", settings={}) as one,
    ):
        yield one


class TestOnOneDeployment:
    @pytest.mark.parametrize("name", AS_DEPLOYED)
    def test_a_drill(self, running: Scene, name: str) -> None:
        _carry_out(name, running)

    def test_an_alarm_whose_rule_never_fires_is_missed(self, running: Scene) -> None:
        rules = deepcopy(of_rules.load())
        rule = of_rules.alarm(rules, "ChoreSetAside")
        assert rule
        rule["expr"] = f"({rule['expr']}) > 1e9"
        said: list[str] = []
        with running.watched_by(rules) as scene:
            assert not run(DRILLS["mailing-locked"](), rules, said.append, heard_within=15, scene=scene)
        (line,) = (line for line in said if line.startswith("the alarm "))
        assert "FAILED: Not within 15 s: ChoreSetAside is heard" in line

    def test_the_last_drill(self, running: Scene) -> None:
        _carry_out(LAST, running)


@pytest.mark.parametrize("name", [name for name in DRILLS if name not in (*AS_DEPLOYED, LAST, ELSEWHERE)])
def test_a_drill(name: str) -> None:
    if name in NEEDS_ROOT and os.geteuid() != 0:
        pytest.skip("a file system of its own is made by root only")
    _carry_out(name)


def _carry_out(name: str, scene: Scene | None = None) -> None:
    said: list[str] = []
    if scene:
        scene.audiences.clear()
    assert run(DRILLS[name](), of_rules.load(), said.append, scene=scene), "\n".join(said)
    print(*said, sep="\n")
