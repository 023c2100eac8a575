"""A real PostgreSQL from a wheel, under DATA_DIR, for development, the demo and tests. Linux and macOS, also as root.

The processes of one DATA_DIR share one server: the first one starts it, the last one to exit stops it. It listens on a
Unix socket only, and that lies in its data directory, which is closed to everybody but the server's user and root. So
who reaches the socket may use the database, and no password is needed.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg2

from shared.database.embedded_programs import MAJOR, Failed, Programs
from shared.domain.errors import SettingsError

_SOCKET = ".s.PGSQL.5432"
_LONGEST_PATH = 103
"""Bytes that the path of a socket may have on every system: 108 on Linux, 104 on macOS, with a NUL at the end."""

_OPTIONS = (
    "-p 5432 -k . -c listen_addresses='' -c unix_socket_permissions=0700"
    " -c log_error_verbosity=terse -c log_min_error_statement=panic"
)
"""The socket's directory is the server's working directory, the data directory: that name is never too long. What it
logs of an error must not hold a statement's values, nor a row's: phone numbers are among them."""


def start(data_dir: Path) -> str:
    """Starts the server if it does not run yet; the URL of its database. Raises SettingsError where it cannot."""
    path = data_dir.resolve()
    if path not in _held:
        programs = Programs.find()
        try:
            _held[path] = _Server(path, programs)
        except (OSError, Failed) as error:
            reason = str(error) if isinstance(error, Failed) else f"{error.filename or path}: {error.strerror}"
            raise SettingsError(f"DATA_DIR cannot hold the embedded PostgreSQL: {reason}.") from error
        atexit.register(release, data_dir)
    return _held[path].url


def release(data_dir: Path) -> None:
    """This process uses the server no longer; if no other one does, it stops. The exit of a process does it, too."""
    if server := _held.pop(data_dir.resolve(), None):
        server.leave()


class _Server:
    """One that runs, as long as somebody has it. Raises OSError, SettingsError or Failed, and then nobody has it."""

    def __init__(self, home: Path, programs: Programs) -> None:
        """home: DATA_DIR, resolved."""
        self._home, self._programs = home, programs
        self._owner = os.getpid()
        home.mkdir(0o755, parents=True, exist_ok=True)
        if home.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            raise SettingsError(f"DATA_DIR must not be open to everybody, who could put a server there: {home}.")
        with self._alone(), ExitStack() as files:
            self._users = files.enter_context(_locked(home / "postgres.users", fcntl.LOCK_SH))
            if not self._data.exists() or not any(self._data.iterdir()):
                self._make()
            self._directory = files.enter_context(_opened(self._data.resolve()))
            self._check()
            self.url = f"postgresql://postgres:@/postgres?host={quote(str(_short(self._data)))}"
            if not self._answers():
                self._start()
            self._files = files.pop_all()

    def leave(self) -> None:
        if self._owner != os.getpid():  # a copy of whom it belongs to
            return
        with suppress(OSError, Failed), self._alone():
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._control("-m", "fast", "stop")
            if (link := _short(self._data)) != self._data:
                link.unlink()
        self._files.close()

    @property
    def _data(self) -> Path:
        return self._home / "postgres"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else starts or stops it meanwhile."""
        with _locked(self._home / "postgres.lock", fcntl.LOCK_EX):
            yield

    def _make(self) -> None:
        """The data directory, whole or not at all: a start that broke off leaves `postgres.new`."""
        new = self._home / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        with _opened(new) as directory:
            self._programs.own(directory)
            options = ("--auth=trust", "--encoding=utf8", "--username=postgres")
            self._programs.run("initdb", *options, "-D", self._programs.path(directory, new), directory=directory)
        new.rename(self._data)

    def _check(self) -> None:
        if os.fstat(self._directory).st_uid != self._programs.uid:
            raise SettingsError(f"DATA_DIR was used by another user: {self._data} is not {self._programs.user}'s.")
        try:
            version = (self._data / "PG_VERSION").read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"DATA_DIR holds no PostgreSQL, but other files: {self._data}.") from error
        if version != str(MAJOR):
            raise SettingsError(f"DATA_DIR is of PostgreSQL {version} and this is {MAJOR}: {self._data}.")
        os.fchmod(self._directory, stat.S_IRWXU)

    def _answers(self) -> bool:
        """Whether it runs. One that recovers from a crash, or is about to stop, is waited for."""
        while self._listens():
            try:
                psycopg2.connect(self.url, connect_timeout=5).close()
            except psycopg2.OperationalError:
                time.sleep(0.1)
            else:
                return True
        return False

    def _listens(self) -> bool:
        with closing(socket.socket(socket.AF_UNIX)) as client, suppress(FileNotFoundError, ConnectionRefusedError):
            client.connect(str(_short(self._data) / _SOCKET))
            return True
        return False

    def _start(self) -> None:
        log = f"{self._programs.path(self._directory, self._data)}/log"
        try:
            self._control("-l", log, "-o", _OPTIONS, "start")
        except Failed as error:
            raise Failed(f"it does not start, and {self._data / 'log'} says why") from error

    def _control(self, *arguments: str) -> None:
        path = self._programs.path(self._directory, self._data)
        self._programs.run("pg_ctl", "-w", "-t", "60", "-D", path, *arguments, directory=self._directory)


_held: dict[Path, _Server] = {}


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, kind)
        yield file
    finally:
        os.close(file)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _short(directory: Path) -> Path:
    """The directory by a name that fits into the address of a socket: its own, or that of a link to it in a directory
    of this user's. Raises SettingsError where somebody else could turn the link elsewhere."""
    if _fits(directory):
        return directory
    links = Path(tempfile.gettempdir()) / f"notification-service-{os.geteuid()}"
    links.mkdir(mode=0o700, exist_ok=True)
    found = links.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SettingsError(f"DATA_DIR is too long for a socket, and {links} is not a directory of this user alone.")
    link = links / hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    if not _fits(link):
        raise SettingsError(f"DATA_DIR is too long for a socket, and so is the temporary directory: {links.parent}.")
    with suppress(FileExistsError):
        link.symlink_to(directory)
    return link


def _fits(directory: Path) -> bool:
    return len(os.fsencode(directory / _SOCKET)) <= _LONGEST_PATH
