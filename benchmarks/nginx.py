"""A provider that accepts every message at once, so that the sending side alone is what costs.

`python -m benchmarks.nginx DIRECTORY PORT` becomes nginx, with all its files in that directory.
"""

import os
import shutil
import sys
from pathlib import Path

from sandbox import debian

# One process, whose CPU time is that of the provider. Connections stay open, as with any decent provider.
_CONFIGURATION = """
daemon off;
master_process off;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log;
events { worker_connections 8192; }
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%d backlog=8192;
        location /v1/send/ {
            default_type application/json;
            return 200 '{"code": 0, "message": "OK"}';
        }
        location /2010-04-01/ {
            default_type application/json;
            return 201 '{"sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "error_code": null}';
        }
        location /sms/3/ {
            default_type application/json;
            return 200 '{"bulkId": "1", "messages": [{"messageId": "0123456789abcdef", "status": {"groupId": 1,
                "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED", "description": "Message sent"}}]}';
        }
    }
}
"""


def program() -> str:
    """Its path; it is installed where that is possible. Raises NotInstalled."""
    if _found() is None:
        debian.install("nginx-light")
    found = _found()
    if found is None:
        raise debian.NotInstalled("nginx was installed and is not to be found.")
    return found


def _found() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def main() -> None:
    directory, port = Path(sys.argv[1]), int(sys.argv[2])
    (directory / "nginx.conf").write_text(_CONFIGURATION % port, encoding="ascii")
    nginx = program()
    os.execv(nginx, [nginx, "-p", str(directory), "-c", "nginx.conf", "-e", "error.log"])


if __name__ == "__main__":
    main()
