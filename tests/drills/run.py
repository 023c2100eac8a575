"""The steps of a drill, the same for all of them: each is a line, with what was seen and how long it took."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

import pytest

from shared.clock import ticks
from tests.drills import rules as of_rules
from tests.drills.accounts import settled
from tests.drills.drill import Drill
from tests.drills.rules import Rules
from tests.drills.scene import CLIENTS, Scene, deployed

T = TypeVar("T")

HEARD_WITHIN = 90.0
OVER_WITHIN = 120.0

_NO_ALARM = "no alarm has a rule: only a person can tell"
_STOPS = (Exception, pytest.fail.Exception, pytest.skip.Exception)
"""Whatever it is, a step that ends so has not come to what it should."""


class Failed(Exception):
    """A step did not come to what it should; its line is written."""


def run(
    drill: Drill,
    rules: Rules,
    say: Callable[[str], object],
    heard_within: float = HEARD_WITHIN,
    scene: Scene | None = None,
) -> bool:
    """Whether alarm, page and remedy did what they say.

    Args:
        drill: a new one.
        rules: all that there are.
        say: takes a line.
        heard_within: seconds for the alarm.
        scene: a deployment that is up, and stays so; None: one of its own.
    """
    steps = _Steps(say)
    try:
        steps.take("rule and page", lambda: _stands(drill, rules))
        if scene:
            drill.prepare(scene)
            _play(drill, scene, steps, heard_within)
        else:
            _alone(drill, rules, steps, heard_within)
    except _STOPS:  # where a step has failed, what is stopped may complain as well
        say("The drill FAILED.")
        return False
    finally:
        drill.close()
    say("Alarm, page and remedy did what they say.")
    return True


def _alone(drill: Drill, rules: Rules, steps: "_Steps", heard_within: float) -> None:
    with ExitStack() as stack:
        scene = steps.take(
            "a deployment", lambda: _up(drill, rules, stack), lambda _: "it is up, and no alarm is heard"
        )
        try:
            _play(drill, scene, steps, heard_within)
        except Failed:
            steps.tell(scene)
            raise
        steps.take("all is stopped", lambda: _closed(stack))


def _play(drill: Drill, scene: Scene, steps: "_Steps", heard_within: float) -> None:
    steps.take("a mailing", lambda: _under_way(scene))
    steps.take("the state", lambda: drill.bring_about(scene))
    if drill.alarms:
        steps.take("the alarm", lambda: _heard(drill, scene, heard_within))
    else:
        steps.take("the alarm", lambda: _NO_ALARM)
    steps.take("what is to be seen", lambda: drill.look(scene))
    steps.take("the remedy", lambda: drill.remedy(scene))
    if drill.alarms:
        steps.take("the alarm is over", lambda: _silent(drill, scene))
    steps.take("the accounts", lambda: settled(scene, drill.repeats))
    steps.take("and beside them", lambda: drill.check(scene))


class _Steps:
    """Takes one after the other."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say

    def take(self, name: str, act: Callable[[], T], told: Callable[[T], object] = str) -> T:
        """told: what was seen, by what came of it. Raises Failed."""
        began = ticks()
        try:
            found = act()
        except _STOPS as error:
            self._line(name, began, f"FAILED: {str(error) or type(error).__name__}")
            raise Failed from error
        self._line(name, began, str(told(found)))
        return found

    def tell(self, scene: Scene) -> None:
        """Where the deployment stands, and what its processes said last."""
        for line in ["", *scene.system.story().splitlines(), ""]:
            self._say(line)

    def _line(self, name: str, began: float, seen: str) -> None:
        first, *rest = seen.splitlines() or [""]
        self._say(f"{name:<20}{ticks() - began:7.1f} s  {first}")
        for line in rest:
            self._say(f"{'':<31}{line}")


def _stands(drill: Drill, rules: Rules) -> str:
    missing = [name for name in drill.alarms if not of_rules.alarm(rules, name)]
    assert not missing, f"deploy/observe/alerts.yml has no rule of {', '.join(missing)}"
    page = of_rules.page(drill.page)
    text = " ".join(page.read_text(encoding="utf-8").split())
    unsaid = [words for words in drill.says if words not in text]
    assert not unsaid, f"docs/runbooks/{page.name} does not say: {'; '.join(unsaid)}"
    astray = [name for name in drill.alarms if not of_rules.leads_to(rules, name, drill.page)]
    assert not astray, f"{', '.join(astray)} does not lead to docs/runbooks/{page.name}"
    return f"{', '.join(drill.alarms) or 'no alarm'}, docs/runbooks/{page.name}"


def _up(drill: Drill, rules: Rules, stack: ExitStack) -> Scene:
    ground = stack.enter_context(drill.ground())
    settings = drill.settings(ground)
    scene = stack.enter_context(deployed(ground, rules, *drill.options(), module=drill.module, settings=settings))
    drill.prepare(scene)
    return scene


def _under_way(scene: Scene) -> str:
    figures = scene.system.until_sent(scene.mail(), CLIENTS // 8)
    return f"{figures['sent']} of {CLIENTS} are sent"


def _heard(drill: Drill, scene: Scene, within: float) -> str:
    wanted = set(drill.alarms)
    scene.system.until(lambda: wanted <= scene.watcher.firing().keys(), f"{', '.join(drill.alarms)} is heard", within)
    firing = scene.watcher.firing()
    return "; ".join(f"{name}: {firing.get(name, 'over already')}" for name in drill.alarms)


def _silent(drill: Drill, scene: Scene) -> str:
    wanted = set(drill.alarms)
    scene.system.until(lambda: not wanted & scene.watcher.alarms(), f"{', '.join(drill.alarms)} is over", OVER_WITHIN)
    return f"{', '.join(drill.alarms)}"


def _closed(stack: ExitStack) -> str:
    stack.close()
    return "every process ended well, and none complained"
