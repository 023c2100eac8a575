"""A machine on which the service is installed by hand, as docs/operations/ has it: servers, directories and programs,
and nothing of the service itself. What the pages do there, they do."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from sandbox import deployment
from sandbox.processes import Processes, free_port
from sandbox.simulator.control import Simulator
from shared.database.embedded_programs import MAJOR, Programs
from tests.support.nginx import AROUND
from tests.support.page import Page, run
from tests.support.postgres_servers import one_server, programs_of
from tests.support.rabbitmq import Private
from tests.support.server_process import User, program
from tests.support.systemctl import Systemctl

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "operations"
OLD = 15
"""The major version of PostgreSQL that the machine has at first."""

_RELEASE = ("api_service", "deploy", "dispatcher_service", "requirements.txt", "shared")
_POSTGRES = """
[Service]
User=postgres
ExecStart={programs}/postgres -D {data} -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={sockets}
ExecStartPost=/bin/sh -c 'until {programs}/pg_isready -q -h 127.0.0.1 -p {port}; do sleep 0.1; done'
KillSignal=SIGINT
"""
_NGINX = """
[Service]
ExecStart={program} -p {directory} -c {directory}/nginx.conf -e {directory}/error.log
"""


@dataclass(frozen=True)
class Machine:
    """values: of all variables of the pages. first, second: two providers. authority: the file of the CA, by which the
    proxy's certificate is trusted."""

    values: Mapping[str, str]
    systemctl: Systemctl
    programs: Path
    first: Simulator
    second: Simulator
    authority: Path

    def take(self, page: str, section: str) -> str:
        """Runs the commands of a section as its page has them; what they said."""
        found = Page(PAGES / page)
        values = {name: self.values[name] for name in found.variables}
        script = found.script(section, values)
        return run(script, Path("/"), [self.programs], CURL_CA_BUNDLE=str(self.authority))


@contextmanager
def machine(rabbitmq: Private) -> Iterator[Machine]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="machine-")))
        directory.chmod(0o755)  # PostgreSQL is another user
        for name in ("programs", "units", "opt", "rotate", "backups"):
            (directory / name).mkdir()
        releases = [_release(directory / "opt" / name) for name in ("one", "two")]
        processes = stack.enter_context(Processes())
        first, second = (
            deployment.start_simulator(processes, "--latency", "200", *options, name=name)
            for name, options in {"first": (), "second": ("--token", "of-the-second")}.items()
        )
        vhost = rabbitmq.vhost()
        stack.callback(rabbitmq.remove, vhost)
        authority, of_nginx = _nginx(directory)
        other = stack.enter_context(one_server(programs_of(MAJOR)))
        values = {
            "APP": str(directory / "opt" / "notification-service"),
            "RELEASE": str(releases[0]),
            "NEXT": str(releases[1]),
            "ETC": str(directory / "etc"),
            "GROUP": "root",
            "UNITS": str(directory / "units"),
            "LOGS": str(directory / "logs"),
            "LOGROTATE": str(directory / "rotate"),
            "API_PORT": str(free_port()),
            "RATE": "100",
            "NEW_RATE": "200",
            **_rabbitmq(rabbitmq, vhost, directory / "programs"),
            "PROVIDER": first.url,
            "SECOND": second.url,
            "TOKEN": "of-the-first",
            "NEW_TOKEN": "of-the-first-from-now-on",
            "SECOND_TOKEN": "of-the-second",
            "BACKUP": str(directory / "backups" / "before.dump"),
            "DUMP": str(directory / "backups" / "moved.dump"),
            **_postgres(directory),
            "OTHER": other.address,
            "OTHER_OWNER": f"postgresql://postgres@{other.address}",
            **of_nginx,
        }
        values["API"] = f"127.0.0.1:{values['API_PORT']}"
        paths = {"/opt/notification-service": values["APP"], "/etc/notification-service": values["ETC"]}
        postgres = Programs.find()
        systemctl = Systemctl(
            directory / "units", directory / "programs", paths, {"postgres": User(postgres.uid, postgres.gid)}
        )
        _programs(directory / "programs")
        with systemctl:
            made = Machine(values, systemctl, directory / "programs", first, second, authority)
            server = values["OWNER"].removesuffix("notify")
            begin = f"systemctl start {values['FROM_UNIT']}\ncreatedb --maintenance-db={server}postgres notify"
            run(begin, Path("/"), [made.programs])
            yield made


def _release(directory: Path) -> Path:
    """What a checkout has of the product."""
    directory.mkdir()
    for name in _RELEASE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory / name)
    return directory


def _programs(directory: Path) -> None:
    """python3 without our packages, and the programs of the old PostgreSQL first."""
    python = Path(sys.base_prefix, "bin", "python3")
    (directory / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n', encoding="utf-8")
    (directory / "python3").chmod(0o755)
    for name in ("psql", "pg_dump", "createdb"):
        (directory / name).symlink_to(programs_of(OLD).directory / name)
    for name, package in {
        "envsubst": "gettext-base",
        "curl": "curl",
        "openssl": "openssl",
        "logrotate": "logrotate",
    }.items():
        program(name, package)


def _rabbitmq(rabbitmq: Private, vhost: str, programs: Path) -> dict[str, str]:
    """One user for the service."""
    name = urlsplit(vhost).path[1:]
    rabbitmq.control("add_user", "notify", "secret")
    rabbitmq.control("set_permissions", "-p", name, "notify", ".*", ".*", ".*")
    rabbitmq.write_control(programs / "rabbitmqctl")
    return {
        "BROKER": f"amqp://notify:secret@127.0.0.1:{urlsplit(vhost).port}/{name}",
        "BROKER_USER": "notify",
        "VHOST": name,
    }


def _postgres(directory: Path) -> dict[str, str]:
    """A cluster of the old version that asks for passwords, and units of both."""
    user, home, port = Programs.find(), directory / "postgres", free_port()
    values = {"POSTGRES": user.user, "SERVER": f"127.0.0.1:{port}"}
    home.mkdir()
    (home / "password").write_text("secret\n", encoding="ascii")
    for side, major in {"FROM": OLD, "TO": MAJOR}.items():
        (home / str(major)).mkdir()
        data, programs = home / str(major) / "main", programs_of(major).directory
        values |= {side: str(programs), f"{side}_DATA": str(data), f"{side}_UNIT": f"postgresql@{major}-main"}
        unit = _POSTGRES.format(programs=programs, data=data, port=port, sockets=home)
        (directory / "units" / f"postgresql@{major}-main.service").write_text(unit, encoding="utf-8")
    for path in (home, *home.rglob("*")):
        os.chown(path, user.uid, user.gid)
    made = [
        f"{values['FROM']}/initdb", "-D", values["FROM_DATA"], "--username=postgres", "--encoding=UTF8",
        "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={home}/password",
    ]  # fmt: skip
    subprocess.run(
        made, check=True, capture_output=True, timeout=120, cwd="/", user=user.uid, group=user.gid, extra_groups=[]
    )
    return values | {"OWNER": f"postgresql://postgres:secret@127.0.0.1:{port}/notify"}


def _nginx(directory: Path) -> tuple[Path, dict[str, str]]:
    """Its directory with a certificate, and nothing that it serves. The authority's file, and the pages' values."""
    home, listen = directory / "nginx", f"127.0.0.1:{free_port()}"
    (home / "conf.d").mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(home / "authority.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(home / "own.pem")
    (home / "nginx.conf").write_text(AROUND.format(directory=home, sites=home / "conf.d" / "*.conf"), encoding="ascii")
    unit = _NGINX.format(program=program("nginx", "nginx-light"), directory=home)
    (directory / "units" / "nginx.service").write_text(unit, encoding="utf-8")
    return home / "authority.pem", {
        "NGINX": str(home),
        "SITE": f"https://{listen}/notify",
        "LISTEN": listen,
        "CERTIFICATE": str(home / "own.pem"),
        "CERTIFICATE_KEY": str(home / "own.pem"),
        "PREFIX": "/notify",
    }
