"""What a drill is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from tests.drills.ground import Ground, own_database
from tests.drills.scene import Scene


class Drill(ABC):
    """One kind of trouble. Whatever a step returns is what was seen in it, in a few words.

    A step that does not come to what it should raises AssertionError, or what the parts raise that it asks.
    """

    sentence: ClassVar[str]
    """What happens and what is to be done, for whoever chooses a drill."""

    alarms: ClassVar[tuple[str, ...]]
    """Those that must be heard. None: nobody but a person can tell."""

    page: ClassVar[str]
    """Of docs/runbooks, without `.md`: it has the remedy."""

    says: ClassVar[tuple[str, ...]]
    """What stands in the page word for word: what the drill carries out, and what is promised of it."""

    repeats: ClassVar[int] = 0
    """So many messages may come to the provider twice: calls of which nobody could know what had become of them."""

    module: ClassVar[str] = "dispatcher_service"
    """What the dispatchers run."""

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        with own_database() as ground:
            yield ground

    def settings(self, ground: Ground) -> Mapping[str, str]:
        """Of the processes."""
        return {}

    def options(self) -> tuple[str, ...]:
        """Of the provider's command line, asked for after the settings."""
        return ()

    def prepare(self, scene: Scene) -> None:
        """What the deployment needs beside, when it is up."""
        return

    @abstractmethod
    def bring_about(self, scene: Scene) -> str:
        """While a mailing goes out."""

    def look(self, scene: Scene) -> str:
        """What the page says is to be seen while the alarm is heard."""
        return "nothing else is to be seen"

    @abstractmethod
    def remedy(self, scene: Scene) -> str:
        """As the page says."""

    def check(self, scene: Scene) -> str:
        """What must be true afterwards beside the accounts of the mailings, which are held in every drill."""
        return "nothing else is promised"

    def close(self) -> None:
        """Nothing that the drill itself began goes on, wherever it has ended."""
        return
