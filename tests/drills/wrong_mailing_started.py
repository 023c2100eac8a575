"""wrong-mailing-started."""

import io
import time

from tests.drills.drill import Drill
from tests.drills.scene import CLIENTS, Scene
from tests.support.waiting import patience

PROMPT = 1.0
"""Seconds after the answer to a pause in which a call may still begin."""


class WrongMailingStarted(Drill):
    """No figure tells a wrong mailing from a right one. So there is no alarm, and the page is what is held to its
    word."""

    sentence = "A mailing goes out that should not: it is paused, then cancelled, and the right one goes to the others."
    alarms = ()
    page = "wrong-mailing-started"
    says = (
        "/mailings/ID/pause/",
        "/mailings/ID/cancel/",
        "/messages/?mailing_id=ID&status=sent&format=csv",
        '{"exclude": {"mailings": [ID]}}',
        "Within a second no call begins any more.",
        "Other mailings go on.",
    )

    def bring_about(self, scene: Scene) -> str:
        self._wrong = scene.mail(text="Everything for nothing!")
        figures = scene.system.until_sent(self._wrong, CLIENTS // 8)
        return f"{figures['sent']} people have the wrong text"

    def look(self, scene: Scene) -> str:
        scene.system.api.pause(self._wrong)
        self._paused = time.time()
        scene.system.remains(lambda: scene.system.api.mailing(self._wrong)["state"] == "paused", "it is paused", 3.0)
        figures = scene.system.figures(self._wrong)
        return f"paused, it stands: {figures['sent']} have it, {figures['pending']} wait"

    def remedy(self, scene: Scene) -> str:
        scene.system.api.cancel(self._wrong)
        scene.called_off.add(self._wrong)
        figures = scene.system.until_figures(
            self._wrong, lambda now: now["sent"] + now["cancelled"] == CLIENTS, "all others are cancelled"
        )
        self._sent = figures["sent"]
        right = scene.mail(text="Half price on Friday.", exclude={"mailings": [self._wrong]})
        scene.audiences[right] = CLIENTS - self._sent
        return f"cancelled, {figures['cancelled']} never got it; mailing {right} goes to these"

    def check(self, scene: Scene) -> str:
        last = max(one.first_at for one in scene.system.received(self._wrong).values())
        assert last < self._paused + patience(PROMPT), "a call began after the pause"
        scene.system.api.export_messages(self._wrong, file := io.BytesIO(), status="sent")
        people = len(file.getvalue().splitlines()) - 1
        assert people == self._sent
        return (
            f"the last call began {last - self._paused:+.1f} s from the pause; {people} are in the file of who has it"
        )
