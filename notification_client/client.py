"""A client of the HTTP API of the notification service: needs `requests`, and nothing else of the service."""

import io
import json
import ssl
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count, islice
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter

from notification_client.errors import ApiError

Json = dict[str, Any]
"""An object as the API answers it; `/docs/` of a running service describes them."""

CONNECT_TIMEOUT = 5.0
PAGE_SIZE = 100
THREADS = 4
_PIECE = 64 * 1024

_REFUSED = (429,)  # statuses after which nothing was done
_HARMLESS = (0, 429, 503)  # after which what can be repeated without harm is worth another try


class _Adapter(HTTPAdapter):
    def __init__(self, trusted: ssl.SSLContext) -> None:
        self._trusted = trusted
        super().__init__(pool_maxsize=32)

    def init_poolmanager(self, *args: Any, **options: Any) -> Any:
        return super().init_poolmanager(*args, ssl_context=self._trusted, **options)


class ApiClient:
    """May be used by several threads at a time.

    Every method raises ApiError: with the status and body of an error answer, or with status 0 if there was none.
    What may be repeated without harm is, after a connection error or a 503, until `patience` seconds have passed.
    What creates is if it has an `idempotency_key`: else nobody knows whether it was carried out. After a 429 it is
    known, and everything is but an import, whose source can be read only once.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 30.0, patience: float = 10.0) -> None:
        """url: such as http://127.0.0.1:8000. key: an API key. timeout: seconds without a byte of an answer."""
        self._url = url.rstrip("/")
        self._timeout, self._patience = timeout, patience
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy stands between the parts of a deployment
        trusted = ssl.create_default_context()  # which honours SSL_CERT_FILE and SSL_CERT_DIR
        if key is not None:
            self._http.headers["Authorization"] = f"Bearer {key}"
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, _Adapter(trusted))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ clients

    def create_client(self, phone: str, *, idempotency_key: str | None = None, **values: Any) -> Json:
        """values: fields as in JSON; what is left out is left to the service."""
        return self._create("/clients/", {"phone": phone, **values}, idempotency_key)

    def create_clients(self, clients: Iterable[Mapping[str, Any]]) -> Iterator[Json]:
        """Creates them a few at a time and yields them in their order; take them all. The first error ends it."""
        rest = iter(clients)
        with ThreadPoolExecutor(THREADS) as pool:
            while some := list(islice(rest, 1000)):
                yield from pool.map(lambda client: self._create("/clients/", client), some)

    def import_clients(
        self,
        source: BinaryIO | Iterable[Mapping[str, Any]],
        *,
        content_type: str = "text/csv",
        name: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Adds and changes clients by the million, in one request that is sent as it is read; the import in the end.

        source: an open file, whose kind content_type says (also application/x-ndjson), or clients as `create_client`
        takes them. name: to watch it by, with `imports`. dry_run: only says what it would do. After an error the same
        may be sent again.
        """
        data: BinaryIO | Iterator[bytes]
        if isinstance(source, BinaryIO | io.IOBase):
            data = source
        else:
            data, content_type = _ndjson(source), "application/x-ndjson"
        headers = {"Content-Type": content_type}
        params = ({"name": name} if name else {}) | ({"dry_run": "true"} if dry_run else {})
        return self._object("POST", "/clients/import/", repeat=(), data=data, headers=headers, params=params)

    def export_clients(self, file: BinaryIO, form: str = "csv", **filters: Any) -> None:
        """Writes all clients, or those who match the filters of the list, into an open file that `import_clients` takes
        again. form: csv, ndjson, json. After an error the file is not whole."""
        self._export("/clients/", file, {"format": form, **filters})

    def client_import(self, import_id: int) -> Json:
        return self._object("GET", f"/clients/imports/{import_id}/")

    def refused_lines(self, import_id: int) -> bytes:
        """All of an import, as a CSV file for a spreadsheet."""
        return self._call("GET", f"/clients/imports/{import_id}/refused/").content

    def imports(self, name: str | None = None) -> Iterator[Json]:
        """All of them, or those of that name, the newest first."""
        return self._items("/clients/imports/", name=name)

    def client(self, client_id: int) -> Json:
        return self._object("GET", f"/clients/{client_id}/")

    def change_client(self, client_id: int, **values: Any) -> Json:
        return self._object("PATCH", f"/clients/{client_id}/", json=values)

    def delete_client(self, client_id: int, *, erase: bool = False) -> None:
        """erase: with all that is known of them, everywhere."""
        self._call("DELETE", f"/clients/{client_id}/", params={"erase": "true"} if erase else None)

    def clients(self) -> Iterator[Json]:
        """All of them, each once, also where others are deleted meanwhile."""
        return self._items("/clients/")

    # ------------------------------------------------------------ segments

    def create_segment(self, name: str, filter_: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """filter_: as in JSON, such as {"attributes": {"city": ["Omsk"]}, "exclude": {"tags": ["new"]}}."""
        return self._create("/segments/", {"name": name, "filter": filter_}, idempotency_key)

    def segment(self, segment_id: int) -> Json:
        """With its `count`, which is None where its clients cannot be counted in time."""
        return self._object("GET", f"/segments/{segment_id}/")

    def change_segment(self, segment_id: int, **values: Any) -> Json:
        return self._object("PATCH", f"/segments/{segment_id}/", json=values)

    def delete_segment(self, segment_id: int) -> None:
        self._call("DELETE", f"/segments/{segment_id}/")

    def segments(self, name: str | None = None) -> Iterator[Json]:
        """All of them, or those of that name, each once, without their counts."""
        return self._items("/segments/", name=name)

    # ------------------------------------------------------------ suppressions

    def suppress(self, phone: str, *, reason: str = "", source: str = "", idempotency_key: str | None = None) -> Json:
        """From now on nothing is sent to it. One that is suppressed already stays as it is."""
        return self._create("/suppressions/", {"phone": phone, "reason": reason, "source": source}, idempotency_key)

    def import_suppressions(self, source: BinaryIO, *, content_type: str = "text/csv", name: str = "") -> Json:
        """By the million, from an open file in any form that files of clients may have; what became of its lines. name:
        to watch it by, with `suppression_files`. After an error the same may be sent again."""
        headers, params = {"Content-Type": content_type}, {"name": name} if name else {}
        return self._object("POST", "/suppressions/import/", repeat=(), data=source, headers=headers, params=params)

    def suppression_files(self) -> Iterator[Json]:
        """Those of the last 7 days, the newest first, with what has come of them by now."""
        return self._items("/suppressions/imports/")

    def suppression_file(self, file_id: int) -> Json:
        return self._object("GET", f"/suppressions/imports/{file_id}/")

    def refused_suppressions(self, file_id: int) -> bytes:
        """All lines of such a file that were refused, as a file that can be mended and sent again."""
        return self._call("GET", f"/suppressions/imports/{file_id}/refused/").content

    def suppression(self, phone: str) -> Json | None:
        """That of a phone; None: it may be written to."""
        return next(self._items("/suppressions/", phone=phone), None)

    def suppressions(self) -> Iterator[Json]:
        """All of them, each once, also where others are lifted meanwhile."""
        return self._items("/suppressions/")

    def lift_suppression(self, suppression_id: int) -> None:
        self._call("DELETE", f"/suppressions/{suppression_id}/")

    # ------------------------------------------------------------ mailings

    def create_mailing(
        self,
        text: str,
        starts_at: datetime | None,
        ends_at: datetime | None,
        *,
        operator_codes: Iterable[str] = (),
        tags: Iterable[str] = (),
        timezones: Iterable[str] = (),
        attributes: Mapping[str, Iterable[str | float | bool]] | None = None,
        segments: Iterable[int] = (),
        imports: Iterable[int] = (),
        exclude: Mapping[str, Any] | None = None,
        send_window: tuple[str, str] | None = None,
        idempotency_key: str | None = None,
        **values: Any,
    ) -> Json:
        """For clients who match every list, and none of those in `exclude`, which is as in JSON.

        starts_at, ends_at: only a draft, with `draft=True`, may be without. attributes: values by name. send_window:
        from, until, such as ("09:00", "21:00"). values: further fields as in JSON.
        """
        window = send_window and {"from": send_window[0], "until": send_window[1]}
        wanted = {
            "operator_codes": list(operator_codes),
            "tags": list(tags),
            "timezones": list(timezones),
            "attributes": {name: list(some) for name, some in (attributes or {}).items()},
            "segments": list(segments),
            "imports": list(imports),
            "exclude": exclude or {},
        }
        times = {"starts_at": starts_at and starts_at.isoformat(), "ends_at": ends_at and ends_at.isoformat()}
        body = {"text": text, **times, "filter": wanted, "send_window": window, **values}
        return self._create("/mailings/", body, idempotency_key)

    def mailing(self, mailing_id: int) -> Json:
        return self._object("GET", f"/mailings/{mailing_id}/")

    def change_mailing(self, mailing_id: int, **values: Any) -> Json:
        """values: fields as in JSON; a datetime may be one."""
        body = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
        return self._object("PATCH", f"/mailings/{mailing_id}/", json=body)

    def check_mailing(self, text: str, starts_at: datetime, ends_at: datetime, **values: Any) -> Json:
        """What would become of a mailing if it were created: nothing is. values: further fields as in JSON."""
        body = {"text": text, "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat(), **values}
        return self._object("POST", "/mailings/preflight/", json=body)

    def preflight(self, mailing_id: int) -> Json:
        """The same of one that is stored and has not started."""
        return self._object("GET", f"/mailings/{mailing_id}/preflight/")

    def delete_mailing(self, mailing_id: int) -> None:
        self._call("DELETE", f"/mailings/{mailing_id}/")

    def start(self, mailing_id: int) -> Json:
        """A draft is one no more. An error of 409 has what stands in its way in its body's `errors`."""
        return self._object("POST", f"/mailings/{mailing_id}/start/")

    def clone(self, mailing_id: int, *, idempotency_key: str | None = None) -> Json:
        """A draft that is the same but for its times."""
        return self._create(f"/mailings/{mailing_id}/clone/", None, idempotency_key)

    def retry(
        self,
        mailing_id: int,
        states: Iterable[str],
        ends_at: datetime,
        *,
        errors: Iterable[str] = (),
        starts_at: datetime | None = None,
        idempotency_key: str | None = None,
        **values: Any,
    ) -> Json:
        """A new mailing to those of this one whose messages ended so, whom no other retry reaches. values: further
        members as in JSON, such as `send_window`."""
        body = {"states": list(states), "errors": list(errors), "ends_at": ends_at.isoformat(), **values}
        body |= {"starts_at": starts_at.isoformat()} if starts_at else {}
        return self._create(f"/mailings/{mailing_id}/retry/", body, idempotency_key)

    def pause(self, mailing_id: int) -> Json:
        return self._object("POST", f"/mailings/{mailing_id}/pause/")

    def resume(self, mailing_id: int) -> Json:
        return self._object("POST", f"/mailings/{mailing_id}/resume/")

    def cancel(self, mailing_id: int) -> Json:
        return self._object("POST", f"/mailings/{mailing_id}/cancel/")

    def mailings(self, **filters: Any) -> Iterator[Json]:
        """All of them, or those who match the filters of the list, each once, also where others are deleted
        meanwhile."""
        return self._items("/mailings/", **filters)

    def send_test(
        self, mailing_id: int, phones: Iterable[str], *, idempotency_key: str | None = None, **values: Any
    ) -> Json:
        """Sends what it would send now to at most five phones of clients; the `messages` that it made. values: further
        fields as in JSON, such as `client_id`, of whose attributes the text is made."""
        return self._create(f"/mailings/{mailing_id}/test/", {"phones": list(phones), **values}, idempotency_key)

    def tests_of(self, mailing_id: int) -> list[Json]:
        """Its last test sends, the latest first, and what became of them."""
        answer: list[Json] = _json(self._call("GET", f"/mailings/{mailing_id}/test/"))
        return answer

    # ------------------------------------------------------------ statistics

    def statistics(self, page: int = 1, page_size: int = PAGE_SIZE) -> Json:
        """The totals, and one page of `mailings`."""
        return self._object("GET", "/mailings/general_statistics/", params={"page": page, "page_size": page_size})

    def detail(self, mailing_id: int, *, status: str | None = None, page: int = 1, page_size: int = PAGE_SIZE) -> Json:
        """The figures of a mailing, and one page of its `messages`."""
        params = {"status": status, "page": page, "page_size": page_size}
        return self._object("GET", f"/mailings/{mailing_id}/detail_statistics/", params=params)

    def messages(self, mailing_id: int, *, status: str | None = None) -> Iterator[Json]:
        """All messages of a mailing; what moves from state to state meanwhile may be missed."""
        return self._items(f"/mailings/{mailing_id}/detail_statistics/", "messages", status=status)

    def preview(self, mailing_id: int, client_id: int) -> Json:
        """The `text` that a client is sent, or why they are sent none."""
        return self._object("GET", f"/mailings/{mailing_id}/preview/", params={"client_id": client_id})

    # ------------------------------------------------------------ single messages

    def message(self, message_id: int) -> Json:
        """With every attempt and the provider's own words."""
        return self._object("GET", f"/messages/{message_id}/")

    def client_messages(self, client_id: int) -> Iterator[Json]:
        """What a client was ever sent, the latest mailings first."""
        return self._items(f"/clients/{client_id}/messages/")

    def messages_to(self, phone: str) -> Iterator[Json]:
        """The same of the client who has this phone now; none where nobody has it."""
        return self._items("/messages/", phone=phone)

    def messages_with(self, mailing_id: int, *, error: str | None = None, receipt: str | None = None) -> Iterator[Json]:
        """The messages of a mailing that have this error, or that this figure of its `receipts` counts. Give one of
        them. A large mailing is looked through in several calls."""
        return self._items("/messages/", mailing_id=mailing_id, error=error, receipt=receipt)

    def export_messages(self, mailing_id: int, file: BinaryIO, form: str = "csv", **which: str | None) -> None:
        """Writes the messages of a mailing into an open file, with phones and the provider's words. form: csv, ndjson,
        json. which: all of them, or those with one `status`, `error` or `receipt`. After an error the file is not
        whole."""
        self._export("/messages/", file, {"format": form, "mailing_id": mailing_id, **which})

    def breakdown(self, mailing_id: int) -> Json:
        """A mailing by reason and by operator code."""
        return self._object("GET", f"/mailings/{mailing_id}/breakdown/")

    def client_of_mailing(self, mailing_id: int, client_id: int) -> Json:
        """The `message` of a client and why it stands where it does, or the `reason` why there is none."""
        return self._object("GET", f"/mailings/{mailing_id}/clients/{client_id}/")

    # ------------------------------------------------------------ operation

    def providers(self) -> list[Json]:
        """As dispatchers have seen them within the last seconds."""
        found: list[Json] = _json(self._call("GET", "/providers/"))
        return found

    def provider(self, name: str) -> Json:
        return self._object("GET", f"/providers/{name}/")

    def change_provider(self, name: str, **values: Any) -> Json:
        """values: `weight`, `paused`. Dispatchers act on it within a second. Needs a key of the scope `admin`."""
        return self._object("PATCH", f"/providers/{name}/", json=values)

    def ready(self) -> bool:
        """Whether the service answers, and its database takes writes, at this moment."""
        try:
            return self._http.get(f"{self._url}/health/ready", timeout=CONNECT_TIMEOUT).status_code == 200
        except requests.RequestException:
            return False

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Raises ApiError when `timeout` seconds have passed."""
        deadline = time.monotonic() + timeout
        while not self.ready():
            if time.monotonic() > deadline:
                raise ApiError(f"{self._url} is not ready after {timeout:g} s")
            time.sleep(0.1)

    # ------------------------------------------------------------

    def _create(self, path: str, body: Mapping[str, Any] | None, key: str | None = None) -> Json:
        if key is None:
            return self._object("POST", path, repeat=_REFUSED, json=body)
        return self._object("POST", path, json=body, headers={"Idempotency-Key": key})

    def _items(self, path: str, key: str | None = None, **params: Any) -> Iterator[Json]:
        answer = self._call("GET", path, params={**params, "after_id": 0, "page_size": PAGE_SIZE})
        while True:
            items = _json(answer)
            yield from items if key is None else items[key]
            following = answer.links.get("next")
            if following is None:
                return
            answer = self._call("GET", path, params=dict(parse_qsl(urlsplit(following["url"]).query)))

    def _export(self, path: str, file: BinaryIO, params: Mapping[str, Any]) -> None:
        with self._call("GET", path, params=params, stream=True) as answer:
            try:
                for piece in answer.iter_content(_PIECE):
                    file.write(piece)
            except requests.RequestException as error:
                raise ApiError(f"GET {path}: broke off: {error}") from error

    def _object(self, method: str, path: str, **request: Any) -> Json:
        answer: Json = _json(self._call(method, path, **request))
        return answer

    def _call(self, method: str, path: str, *, repeat: Container[int] = _HARMLESS, **request: Any) -> requests.Response:
        deadline = time.monotonic() + self._patience
        for attempt in count():
            try:
                return self._once(method, path, **request)
            except ApiError as error:
                pause = min(0.1 * 2**attempt, 2.0)
                if error.status not in repeat or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, **request: Any) -> requests.Response:
        try:
            answer = self._http.request(
                method, self._url + path, timeout=(CONNECT_TIMEOUT, self._timeout), allow_redirects=False, **request
            )
        except requests.RequestException as error:
            raise ApiError(f"{method} {path}: no answer: {error}") from error
        if answer.ok and not answer.is_redirect:
            return answer
        try:
            body = answer.json()
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        raise ApiError(_sentence(method, path, answer.status_code, body), answer.status_code, body)


def _ndjson(clients: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """In pieces of a thousand lines."""
    rest = iter(clients)
    while some := list(islice(rest, 1000)):
        yield "".join(f"{json.dumps(client)}\n" for client in some).encode()


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise ApiError(f"{answer.url}: the answer is not JSON", answer.status_code) from error


def _sentence(method: str, path: str, status: int, body: Json) -> str:
    found = f" {body['errors']}" if body.get("errors") else ""
    return f"{method} {path}: {status} {body.get('message', '')}{found}"
