"""disk-nearly-full."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox import deployment
from sandbox.processes import Processes
from tests.drills.drill import Drill
from tests.drills.ground import Ground
from tests.drills.scene import Scene
from tests.e2e.system import Place

MEGABYTES = 384
LEFT = 0.05


class DiskNearlyFull(Drill):
    """The database is on a file system of its own, in memory, which only root may make."""

    sentence = "The disk of the database is nearly full; room is made before it is. Needs root."
    alarms = ("DiskNearlyFull",)
    page = "disk-nearly-full"
    says = (
        "min by (instance, place) (dispatcher_disk_free_share)",
        "Make room with what nobody needs: old dumps",
        "Delete no file of PostgreSQL.",
        "None yet.",
    )

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        with (
            TemporaryDirectory(prefix="drill-") as directory,
            _small_disk() as self._disk,
            Processes() as processes,
        ):
            url = deployment.start_postgres(processes, self._disk)
            yield Ground(Place(url, None, Path(directory)), url)

    def settings(self, ground: Ground) -> Mapping[str, str]:
        return {"DATA_DIR": str(self._disk)}

    def bring_about(self, scene: Scene) -> str:
        self._dump = self._disk / "old.dump"
        with self._dump.open("wb") as file:
            disk = shutil.disk_usage(self._disk)
            os.posix_fallocate(file.fileno(), 0, int(disk.free - LEFT * disk.total))
        return f"an old dump leaves {self._free():.0%} of the database's disk"

    def look(self, scene: Scene) -> str:
        assert scene.system.api.ready()
        told = [float(one["value"][1]) for one in scene.watcher.query('dispatcher_disk_free_share{place="data"}')]
        assert max(told) < 2 * LEFT
        return f"the database takes writes, and the dispatchers say that {min(told):.0%} are free"

    def remedy(self, scene: Scene) -> str:
        self._dump.unlink()
        return f"the dump is gone, and {self._free():.0%} are free"

    def _free(self) -> float:
        disk = shutil.disk_usage(self._disk)
        return disk.free / disk.total


@contextmanager
def _small_disk() -> Iterator[Path]:
    """The directory where it is."""
    assert os.geteuid() == 0, "a file system of its own is made by root only"
    with TemporaryDirectory(prefix="disk-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0755", "drill", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)
