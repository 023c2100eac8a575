"""Programs from Debian's packages, installed without starting their services."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class NotInstalled(Exception):
    """Says in one sentence why."""


def install(package: str) -> None:
    """Needs root. Two runs at a time are harmless. Raises NotInstalled."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotInstalled(f"{package} is not installed, and only root on Debian can change that here.")
    with Path(tempfile.gettempdir(), "install-debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _no_services():
            with suppress(NotInstalled):  # one source that is out of reach need not be the one that matters
                _apt("update")
            _apt("install", "-y", "--no-install-recommends", package)


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(  # noqa: S603 - the arguments are ours
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise NotInstalled(f"{' '.join(command)} said:\n{done.stderr[-2000:]}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Keeps packages from starting their services, as a policy that is there already does."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)
