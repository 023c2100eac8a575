"""clock-stepped."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from tests.drills.drill import Drill
from tests.drills.ground import Ground, own_database
from tests.drills.scene import Scene
from tests.support.wall_clock import WallClock

STEP = timedelta(seconds=30)


class ClockStepped(Drill):
    sentence = "The clock of the database's machine steps ahead by half a minute, and is put right."
    alarms = ("ClockStepped",)
    page = "clock-stepped"
    says = (
        "`timedatectl`",
        "`chronyc makestep`",
        "That is a step again, and counted as one.",
        "Up to 40 s nobody gets a message twice",
    )

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        with WallClock() as self._clock, own_database(clock=self._clock) as ground:
            yield ground

    def bring_about(self, scene: Scene) -> str:
        self._clock.step(STEP)
        return f"the database's clock is {STEP.seconds} s ahead"

    def look(self, scene: Scene) -> str:
        (event,) = scene.said(scene.leader(), "database_clock_stepped")
        return f"database_clock_stepped of the leader: {event['seconds']:+g} s"

    def remedy(self, scene: Scene) -> str:
        self._clock.step(-STEP)
        return "the clock shows the time again"

    def check(self, scene: Scene) -> str:
        steps = [event["seconds"] for event in scene.said(scene.leader(), "database_clock_stepped")]
        assert [round(step / STEP.seconds) for step in steps] == [1, -1], steps
        return f"the leader has seen both steps: {', '.join(f'{step:+g} s' for step in steps)}"
