"""nginx of Debian's package with TLS, before an API, as deploy/nginx.conf.template has it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection

import trustme

from sandbox.processes import free_port
from tests.support.server_process import ServerProcess, program

TEMPLATE = Path(__file__).parents[2] / "deploy" / "nginx.conf.template"
START_SECONDS = 20.0

AROUND = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {sites};
}}
"""
"""The file around the sites: one process, in a directory of its own."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """url: where it is reached, without a slash at the end. authority: the file of the certificate to trust."""

    url: str
    port: int
    authority: Path


@contextmanager
def nginx(api: str, prefix: str) -> Iterator[Nginx]:
    """One before the API at HOST:PORT."""
    binary = program("nginx", "nginx-light")
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        directory, port = Path(name), free_port()
        directory.chmod(0o755)  # its workers are another user
        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "authority.pem")
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_and_cert_chain_pem.write_to_path(directory / "own.pem")
        values = {
            "API": api,
            "LISTEN": f"127.0.0.1:{port}",
            "CERTIFICATE": str(directory / "own.pem"),
            "CERTIFICATE_KEY": str(directory / "own.pem"),
            "PREFIX": prefix,
        }
        site = re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], TEMPLATE.read_text(encoding="utf-8"))
        (directory / "site.conf").write_text(site, encoding="utf-8")
        (directory / "nginx.conf").write_text(
            AROUND.format(directory=name, sites=directory / "site.conf"), encoding="ascii"
        )
        command = [str(binary), "-p", name, "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
        process = ServerProcess(command, directory / "output")
        try:
            process.wait_until(lambda: _listens(port), START_SECONDS)
            yield Nginx(f"https://127.0.0.1:{port}{prefix}", port, directory / "authority.pem")
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
