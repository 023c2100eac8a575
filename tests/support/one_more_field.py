"""In a copy of the product whose mailings have one more field, `note`: what each part makes of it, as JSON.

`python -m tests.support.one_more_field URL`, of an empty database.
"""

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from wsgiref.simple_server import WSGIRequestHandler, make_server

from notification_client import ApiClient
from shared.database.engine import make_engine
from shared.migrate import upgrade
from tests.support.api import Api, mailing


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def main(url: str) -> None:
    upgrade(url)
    api = Api(make_engine(url, "test"))
    told: dict[str, object] = {"left out": api.make("/mailings/", mailing())["note"]}
    made = api.make("/mailings/", mailing(note="Ask Anna."))
    path = f"/mailings/{made['id']}/"
    told["given"] = api.get(path)["note"]
    told["refused"] = sorted(api("PATCH", path, {"note": 5}).at_fault)
    told["put back"] = api("PUT", path, api.get(path)).status
    changed = api("PATCH", path, {"note": "Call Boris."}).json
    told["changed"] = [changed["note"], changed["revision"]]
    told["by others"] = api.get("/mailings/")[-1]["note"]
    changes = api.get(f"/audit/?thing=mailing&thing_id={made['id']}")
    told["audit"] = [[one["action"], one["before"] and one["before"]["note"], one["after"]["note"]] for one in changes]
    document = api.document()
    told["document"] = sorted(
        name for name, schema in document["components"]["schemas"].items() if "note" in schema.get("properties", {})
    )
    body = document["paths"]["/mailings/"]["post"]["requestBody"]["content"]["application/json"]
    told["example"] = body["example"]["note"]
    with make_server("127.0.0.1", 0, api.app, handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with ApiClient(f"http://127.0.0.1:{server.server_port}") as client:
            start = datetime.now(UTC) + timedelta(hours=1)
            made = client.create_mailing("Hello", start, start + timedelta(hours=1), note="Call Clara.")
            told["by the client"] = made["note"]
        server.shutdown()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
