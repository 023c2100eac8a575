"""Exit status 0 when the first of these that is listened to answers 200: `healthy.py 8000/health/ready 9100/metrics`.

The health check of the images, where every role has a port of its own, and the API one for its metrics as well; slim
images have no curl. A port may have a host before it: `healthy.py id.localhost:8092/`.
"""

import sys
from http.client import HTTPConnection, HTTPException


def answers(place: str, path: str) -> bool | None:
    """None: nobody listens."""
    host, _, port = place.rpartition(":")
    connection = HTTPConnection(host or "127.0.0.1", int(port), timeout=4)
    try:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status == 200
    except ConnectionRefusedError:
        return None
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    targets = [target.partition("/") for target in sys.argv[1:]]
    found = (answers(place, path) for place, _, path in targets)
    sys.exit(0 if next((one for one in found if one is not None), False) else 1)
