"""Exit status 0 when one of these answers 200: `python healthy.py 8000/health/ready 9100/metrics`.

The health check of the image, where every role has its own port; slim images have no curl.
"""

import sys
from http.client import HTTPConnection, HTTPException


def answers(port: str, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", int(port), timeout=4)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    targets = [target.partition("/") for target in sys.argv[1:]]
    sys.exit(0 if any(answers(port, path) for port, _, path in targets) else 1)
