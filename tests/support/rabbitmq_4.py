"""RabbitMQ 4 of Debian 13, on a Debian that has an older one: in a tree of its own under .local, made on first use.

It takes root, debootstrap (which is installed where it is missing), 400 MB and one or two minutes. Its programs see
this machine's processes, network and temporary directory; what is mounted for that they alone see, and it goes with
them.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from sandbox import debian
from tests.support.rabbitmq import NoRabbitMQ
from tests.support.server_process import program

TREE = Path(__file__).parents[2] / ".local" / "debian-13"
PROGRAMS = TREE.with_name("rabbitmq-4")
DEBIAN, SUITE = 13, "trixie"
MAKING_SECONDS = 900

_SCRIPT = """#!/bin/sh
exec unshare --mount sh -ec '
    mount --rbind /proc "$0/proc"
    mount --rbind /dev "$0/dev"
    mount --bind {temporary} "$0{temporary}"
    exec chroot "$0" /usr/lib/rabbitmq/bin/{name} "$@"
' {tree} "$@"
"""


def is_installed() -> bool:
    """Whether it is what Debian's package of this machine has."""
    release = Path("/etc/os-release")
    version = re.search(r'^VERSION_ID="?(\d+)', release.read_text("utf-8"), re.MULTILINE) if release.exists() else None
    return bool(version and int(version[1]) >= DEBIAN)


def server_program() -> Path:
    """The script that starts a server; beside it `rabbitmqctl`. Raises NoRabbitMQ."""
    try:
        if not TREE.exists():
            _make()
    except (debian.NotInstalled, subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or error
        raise NoRabbitMQ(f"RabbitMQ 4 is not to be had from Debian 13: {said}") from error
    PROGRAMS.mkdir(exist_ok=True)
    temporary = Path(tempfile.gettempdir()).resolve()
    (TREE / temporary.relative_to("/")).mkdir(parents=True, exist_ok=True)
    for name in ("rabbitmq-server", "rabbitmqctl"):
        text = _SCRIPT.format(name=name, tree=TREE, temporary=temporary)
        (PROGRAMS / name).write_text(text, encoding="utf-8")
        (PROGRAMS / name).chmod(0o755)
    return PROGRAMS / "rabbitmq-server"


def _make() -> None:
    debootstrap = program("debootstrap", "debootstrap")
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"]
    found = subprocess.run(targets, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    mirror = next((uri for uri in found if "security" not in uri), None)
    if mirror is None:
        raise NoRabbitMQ("apt knows no Debian to take RabbitMQ 4 from.")
    new = TREE.with_name("debian-13.new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(exist_ok=True)
    command = [str(debootstrap), "--variant=minbase", "--include=rabbitmq-server", SUITE, str(new), mirror]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=MAKING_SECONDS)
    shutil.rmtree(new / "var" / "cache" / "apt", ignore_errors=True)
    new.rename(TREE)
