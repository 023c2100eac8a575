"""The embedded PostgreSQL is open to who started it and to nobody else on the machine, and opens no other door.

As root the suite is its own second user: it starts the server as root and as an ordinary user, and another one tries to
get in. Otherwise only modes can be looked at.
"""

import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg2
import pytest

from sandbox import deployment
from sandbox.processes import Processes
from shared.database import embedded, embedded_programs
from shared.database.embedded_programs import Programs
from shared.domain.errors import SettingsError

IS_ROOT = os.geteuid() == 0
STARTERS = ["root", "nobody"] if IS_ROOT else ["this user"]
STRANGER = "daemon"
SOCKET = ".s.PGSQL.5432"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of mode 0700 with a short name, as /root is."""
    with tempfile.TemporaryDirectory(prefix="notify-") as directory:
        yield Path(directory)


@pytest.fixture(params=STARTERS)
def starter(request: pytest.FixtureRequest, place: Path) -> str:
    if request.param == "nobody":
        os.chown(place, *_ids("nobody"))
    return str(request.param)


@contextmanager
def running(starter: str, data_dir: Path) -> Iterator[str]:
    """The URL of a server that the starter has."""
    if starter != "nobody":
        yield embedded.start(data_dir)
        embedded.release(data_dir)
        return
    installed = embedded_programs._copied(Programs.find().directory.parents[2])  # the wheel may be below /root itself
    reading, writing = os.pipe()
    waiting, ending = os.pipe()
    child = os.fork()
    if not child:
        with _exiting():
            os.close(ending)
            _become("nobody")
            programs = Programs(installed / embedded_programs._BIN, *_ids("nobody"), "nobody", is_other=False)
            pytest.MonkeyPatch().setattr(Programs, "find", lambda: programs)
            os.write(writing, embedded.start(data_dir).encode())
            os.read(waiting, 1)
            embedded.release(data_dir)
    os.close(writing)
    os.close(waiting)
    url = os.read(reading, 4096).decode()
    os.close(reading)
    try:
        assert url, "it did not start"
        yield url
    finally:
        os.close(ending)
        os.waitpid(child, 0)


def reaches(user: str, *paths: Path) -> bool:
    """Whether a process of that user can connect to a socket by one of the paths."""

    def connect() -> bool:
        for path in paths:
            with closing(socket.socket(socket.AF_UNIX)) as client, suppress(OSError):
                client.connect(str(path))
                return True
        return False

    return _as(user, connect)


def modes(path: Path) -> dict[Path, int]:
    """Of it and all that is above."""
    return {one: stat.S_IMODE(one.stat().st_mode) for one in [path, *path.parents]}


@pytest.mark.parametrize("length", [1, 100])
def test_nobody_else_gets_in_and_no_other_door_is_opened(starter: str, place: Path, length: int) -> None:
    """Too long for a socket's address, the directory is reached through a link, which is nobody else's either."""
    home = place / ("d" * length)
    before = modes(place)
    with running(starter, home / "data") as url:
        directory = home / "data" / "postgres"
        (postmaster, *_) = (directory / "postmaster.pid").read_text(encoding="ascii").split()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert psutil.Process(int(postmaster)).uids().real == directory.stat().st_uid != 0
        assert psutil.Process(int(postmaster)).net_connections("inet") == []
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("select current_setting('is_superuser')")
            assert cursor.fetchone() == ("on",)
        assert modes(place) == before
        if IS_ROOT:
            near = Path(f"/proc/{postmaster}/cwd", SOCKET)
            links = [link / SOCKET for link in Path(tempfile.gettempdir()).glob("notification-service-*/*")]
            with chdir(directory):  # as good as an open directory, and a short name for each path
                assert reaches("root", Path(SOCKET))
                assert not reaches(STRANGER, Path(SOCKET), near, Path(_host(url), SOCKET), *links)
            place.chmod(0o755)  # nor if somebody opened what is above
            assert not reaches(STRANGER, near, Path(_host(url), SOCKET), *links)
    assert not (directory / "postmaster.pid").exists()
    assert not Path(_host(url)).exists() or Path(_host(url)) == directory


def test_a_stranger_reaches_what_is_open(place: Path) -> None:
    """Or else the test above would prove nothing."""
    place.chmod(0o755)
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(place / SOCKET))
        (place / SOCKET).chmod(0o777)
        server.listen()
        assert not IS_ROOT or reaches(STRANGER, place / SOCKET)


def test_a_directory_for_links_that_others_may_change_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    links = place / f"notification-service-{os.geteuid()}"
    links.mkdir()
    links.chmod(0o777)
    with pytest.raises(SettingsError, match="DATA_DIR is too long for a socket, and") as raised:
        embedded.start(place / ("d" * 100))
    assert str(links) in str(raised.value)
    assert stat.S_IMODE(links.stat().st_mode) == 0o777, "it is not ours to change"


def test_what_it_cannot_use_is_refused_in_a_sentence_and_left_alone(place: Path) -> None:
    other = place / "data" / "postgres" / "notes.txt"
    other.parent.mkdir(parents=True, mode=0o755)
    other.write_text("mine")
    with pytest.raises(SettingsError, match=r"^DATA_DIR [^\n]*\.$"):
        embedded.start(place / "data")
    assert other.read_text() == "mine"
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    with pytest.raises(SettingsError, match="DATA_DIR must not be open to everybody"):
        embedded.start(place / "open")
    assert [path.name for path in (place / "open").iterdir()] == []
    (place / "file").touch()
    with pytest.raises(SettingsError, match=r"^DATA_DIR [^\n]*File exists\.$"):
        embedded.start(place / "file")
    if IS_ROOT:
        os.chown(other.parent, *_ids(STRANGER))
        with pytest.raises(SettingsError, match="DATA_DIR was used by another user"):
            embedded.start(place / "data")
        assert (other.parent.stat().st_uid, other.parent.stat().st_mode & 0o777) == (_ids(STRANGER)[0], 0o755)


def test_where_root_cannot_have_a_copy_of_the_programs_it_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_programs, "COPIES", Path("/proc/nowhere"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(embedded_programs, "_SERVER_USER", STRANGER)
    with pytest.raises(SettingsError, match=r"^DATABASE_URL must be set, or another user than root[^\n]*\.$"):
        embedded.start(place)
    assert list(place.iterdir()) == []


def test_a_start_that_broke_off_is_begun_anew(place: Path) -> None:
    (place / "postgres.new" / "base").mkdir(parents=True)
    url = embedded.start(place)
    psycopg2.connect(url).close()
    assert not (place / "postgres.new").exists()
    embedded.release(place)


def test_the_last_one_stops_it_whoever_started_it(place: Path) -> None:
    with Processes() as one, Processes() as other:
        url = deployment.start_postgres(one, place)
        assert deployment.start_postgres(other, place) == url
        one.stop("postgres")
        psycopg2.connect(url).close()
        other.kill("postgres")  # it holds nothing any more, and could not stop it
        assert deployment.start_postgres(one, place) == url
    assert not (place / "postgres" / "postmaster.pid").exists()


def test_a_copy_of_a_process_does_not_stop_it(place: Path) -> None:
    """The API's workers are copies of their parent, and may end before it."""
    url = embedded.start(place)
    if not (child := os.fork()):
        with _exiting():
            embedded.release(place)
    os.waitpid(child, 0)
    psycopg2.connect(url).close()
    embedded.release(place)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)


def test_a_strict_umask_and_none_at_all_change_nothing(place: Path) -> None:
    program = (
        "import os, pathlib; from shared.database import embedded; os.umask({}); embedded.start(pathlib.Path({!r}))"
    )
    for number, umask in enumerate((0o077, 0)):
        home = place / str(number)
        subprocess.run([sys.executable, "-c", program.format(umask, str(home))], check=True, timeout=60)
        assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
        assert not home.stat().st_mode & 0o022
        assert not any(path.lstat().st_mode & 0o077 for path in home.rglob("*") if path.is_file())


def _host(url: str) -> str:
    return str(psycopg2.extensions.parse_dsn(url)["host"])


def _ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _become(user: str) -> None:
    uid, gid = _ids(user)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _as(user: str, does: Callable[[], bool]) -> bool:
    child = os.fork()
    if not child:
        with _exiting():
            _become(user)
            os._exit(10 if does() else 11)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (10, 11), "it did not become that user"
    return code == 10


@contextmanager
def _exiting() -> Iterator[None]:
    """A copy of this process must not go on with the tests."""
    try:
        yield
        os._exit(0)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)
