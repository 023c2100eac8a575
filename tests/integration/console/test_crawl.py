"""Everything that can be reached on the console, by its links and its forms, as each of those who may be there: nothing
breaks, and what somebody may not do is neither shown nor done."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest
from werkzeug.test import TestResponse

from api_service.web.key import Scope, Token
from shared.domain.message import Error
from tests.integration.console.test_pages import HOSTILE, Browser, signed_in, stored, token_on
from tests.integration.mailings.test_retries import UNKNOWN, end
from tests.support.api import Api, mailing
from tests.support.books import FAILED, SENT, Books
from tests.support.receipt_sender import PATH, gateways

START = "/console/"
RUBBISH = ["", "\0' or 1=1 --", HOSTILE, "-1", "9" * 40, "2050-13-45T99:99", "𝔘" * 3_000]
TYPED = {
    "text": "“Hello”",
    "name": "Crawled",
    "phone": "8 912 000-00-02",
    "phones": "8 912 000-00-02",
    "reason": "Asked for it",
    "ends_at": "2049-12-01T21:00",
    "starts_at": "2049-12-01T09:00",
    "weight": "7",
}
"""What somebody writes into fields that are empty, by their names."""

LAST = ("/sign-out/", "/end/", "/revoke/")
"""Forms after which whoever sends them may be out."""


@dataclass(slots=True)
class Form:
    """As it stands on a page. files: the names of fields for them. buttons: what each adds, and where it leads."""

    method: str
    action: str
    page: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return urljoin(self.page, self.action or urlsplit(self.page).path).partition("#")[0]


class Seen(HTMLParser):
    """Of a page: where it leads, and what can be filled in."""

    def __init__(self, page: str, html: str) -> None:
        super().__init__()
        self.page, self.links, self.forms = page, list[str](), list[Form]()
        self._form: Form | None = None
        self._choice: tuple[str, list[str]] | None = None
        self._text: tuple[str, list[str]] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in about:
            self.links.append(about["href"])
        if "hx-get" in about:
            self.links.append(about["hx-get"])
        if "hx-post" in about:
            self.forms.append(Form("post", about["hx-post"], self.page, [("form_token", ""), ("text", "")]))
        if tag == "form":
            self._form = Form(about.get("method", "get").lower(), about.get("action", ""), self.page)
            self.forms.append(self._form)
        if self._form is None:
            return
        name, value = about.get("name", ""), about.get("value", "")
        if tag == "input" and about.get("type") == "file":
            self._form.files.append(name)
        elif tag == "input" and (about.get("type") not in ("checkbox", "radio") or "checked" in about):
            self._form.fields.append((name, value))
        elif tag == "textarea":
            self._text = (name, [])
        elif tag == "select":
            self._choice = (name, [])
        elif tag == "option" and self._choice is not None:
            self._choice[1].insert(0 if "selected" in about else len(self._choice[1]), value)
        elif tag == "button" and name:
            self._form.buttons.append((name, value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._form is not None and self._text is not None:
            self._form.fields.append((self._text[0], "".join(self._text[1]).removeprefix("\n")))
            self._text = None
        elif tag == "select" and self._form is not None and self._choice is not None:
            self._form.fields += [(self._choice[0], value) for value in self._choice[1][:1]]
            self._choice = None
        elif tag == "form":
            self._form = None


@dataclass(slots=True)
class Crawl:
    """What somebody reaches from the first page on. forms: by method and address."""

    addresses: set[str] = field(default_factory=set)
    forms: dict[tuple[str, str], Form] = field(default_factory=dict)


def check(address: str, response: TestResponse) -> str:
    """Nothing broke, and a page says what it is; its content."""
    is_page = response.mimetype == "text/html" and not 300 <= response.status_code < 400
    content = response.text if is_page else ""
    response.close()
    assert response.status_code < 500, (address, response.status_code, content)
    if content and "X-Live" not in response.headers:
        assert re.search(r"<title>\s*[^·<\s][^<]* · ", content), f"{address} has no title"
        assert content.count("<h1") == 1, f"{address} has not one heading of the first order"
    return content


def crawl(browser: Browser) -> Crawl:
    found, waiting = Crawl(), [START]
    while waiting:
        address = waiting.pop()
        if address in found.addresses:
            continue
        found.addresses.add(address)
        response = browser.http.get(address)
        assert response.status_code == 200, (address, response.status_code)
        seen = Seen(address, check(address, response))
        links = [urljoin(address, link).partition("#")[0] for link in seen.links]
        waiting += [link for link in links if link.startswith(START)]
        for form in seen.forms:
            assert form.method in ("get", "post"), form
            found.forms.setdefault((form.method, form.address), form)
    return found


@pytest.fixture
def api(books: Books) -> Iterator[Api]:
    yield Api(books.engine, auth=True, providers=gateways())
    books.engine.dispose()


@pytest.fixture
def filled(books: Books) -> None:
    """A mailing of each state and messages of each kind, whom they went to, files, lists; with hostile texts."""
    opened = Api(books.engine, providers=gateways())
    for number in range(3):
        opened.make("/clients/", {"phone": f"7912000000{number}", "tag": "vip", "attributes": {"<i>": HOSTILE}})
    segment = opened.make("/segments/", {"name": HOSTILE[:60], "filter": {"tags": ["vip"]}})["id"]
    opened.make("/segments/", {"name": "Upper", "filter": {"segments": [segment]}})
    opened.make("/suppressions/", {"phone": "79990000000", "reason": HOSTILE[:60]})
    for path, data in (("clients", f"phone,tag\n79120000009,vip\n1,{HOSTILE}\n"), ("suppressions", "phone\n12\n")):
        answer = opened("POST", f"/{path}/import/?name=%3Cu%3E", data=data.encode(), content_type="text/csv")
        assert answer.status == 200
    running, _ = books.launched(9)
    end(books, running, FAILED, Error.REJECTED, first=2)
    end(books, running, UNKNOWN, Error.TIMED_OUT, first=1)
    end(books, running, SENT, None, first=2)
    sent = [one for one in books.ids(running) if books.message(one).status == "sent"]
    receipts = [{"id": one, "status": "failed", "reason": HOSTILE[:40]} for one in sent]
    assert opened("POST", PATH, receipts).status == 200
    finished, ids = books.launched(1)
    books.record(SENT, books.claim(finished, books.ids(finished)))
    assert books.finish([finished]) == [finished]
    assert ids
    later = mailing(starts_at="2049-01-01T00:00:00Z", ends_at="2049-01-02T00:00:00Z")
    for action in ("", "pause", "cancel"):
        made = opened.make("/mailings/", later)["id"]
        assert not action or opened("POST", f"/mailings/{made}/{action}/").status == 200
    opened.make("/mailings/", {"text": HOSTILE.replace("{{", "{"), "draft": True})
    opened.make("/mailings/", later | {"draft": True, "filter": {"tags": ["vip"]}})


@pytest.fixture
def tokens(books: Books) -> Mapping[Scope, Sequence[Token]]:
    """Some of each: an application looks every few seconds only which keys there are."""
    return {scope: [stored(books.engine, scope) for _ in range(5)] for scope in Scope}


@pytest.mark.usefixtures("filled")
def test_what_somebody_may_not_do_is_neither_shown_nor_done(api: Api, tokens: Mapping[Scope, Sequence[Token]]) -> None:
    admin = crawl(signed_in(api, tokens[Scope.ADMIN][0]))
    assert len(admin.addresses) > 60
    assert len(admin.forms) > 25
    for scope in (Scope.READ, Scope.TEST, Scope.WRITE):
        browser = signed_in(api, tokens[scope][0])
        own = crawl(browser)
        assert own.addresses <= admin.addresses
        # A key for tests sees no mailing that is really sent: for it there is none.
        refused = {403, 404} if scope is Scope.TEST else {403}
        for address in sorted(admin.addresses - own.addresses):
            response = browser.http.get(address)
            check(address, response)
            assert response.status_code in refused, (scope, address, response.status_code)
        token = token_on(browser, "/")
        for method, address in sorted(admin.forms.keys() - own.forms.keys()):
            response = sent(browser, admin.forms[method, address], token=token)
            assert response.status_code in refused, (scope, address, response.status_code)
    stranger = Browser(api)
    for address in sorted(admin.addresses):
        response = stranger.http.get(address)
        assert response.status_code == 303, address
        assert response.headers["Location"].startswith("/console/sign-in/"), address
    for (_, address), form in sorted(admin.forms.items()):
        if not address.endswith(("/language/", "/sign-out/")):
            assert sent(stranger, form).status_code in (303, 403), address


@pytest.mark.usefixtures("filled")
def test_nothing_breaks_whatever_is_sent(books: Books, api: Api, tokens: Mapping[Scope, Sequence[Token]]) -> None:
    """First with rubbish, which changes little; then as it stands, filled in where it is empty."""
    keys = iter(tokens[Scope.ADMIN])
    key = next(keys)
    browser = signed_in(api, key)
    found = crawl(browser)
    for shape in sorted({re.sub(r"=[^&]*", "=", address) for address in found.addresses if "=" in address}):
        path, _, query = shape.partition("?")
        for rubbish in RUBBISH[:-1]:
            asked = [(pair.rstrip("="), rubbish) for pair in query.split("&")]
            check(shape, browser.http.get(path, query_string=asked))
    token = token_on(browser, "/")
    forms = sorted(found.forms.values(), key=lambda form: form.address.endswith(LAST))
    for rubbish in RUBBISH:
        for form in forms:
            if not form.address.endswith(LAST):
                follow(browser, form, sent(browser, form, rubbish=rubbish, token=token))
    for form in forms:
        for button in (None, *form.buttons):
            if browser.see("/").status_code != 200:
                key = next(keys)
                browser = signed_in(api, key)
                token = token_on(browser, "/")
            typed = TYPED | {"key_again": str(key)}
            follow(browser, form, sent(browser, form, typed, button=button, token=token))
    books.check()
    assert books.run("select from mailings where text = :text", text=TYPED["text"])  # so forms were filled in well
    assert books.run("select from api_keys where revoked_at is not null")


def sent(
    browser: Browser,
    form: Form,
    typed: Mapping[str, str] | None = None,
    *,
    rubbish: str | None = None,
    button: tuple[str, str] | None = None,
    token: str = "",
) -> TestResponse:
    """typed: in fields that are empty. rubbish: in all of them. token: of the forms of the session."""

    def value_of(name: str, value: str) -> str:
        if name == "form_token":
            return token
        return (value or (typed or {}).get(name, "")) if rubbish is None else rubbish

    fields = [(name, value_of(name, value)) for name, value in form.fields] + ([button] if button else [])
    if form.method == "get":
        return browser.http.get(form.address, query_string=fields)
    data: dict[str, list[object]] = {}
    for name, value in fields:
        data.setdefault(name, []).append(value)
    file = b"phone,tag\n79120000008,vip\n" if rubbish is None else rubbish.encode()
    data |= {name: [(io.BytesIO(file), "file.csv")] for name in form.files}
    return browser.http.post(form.address, data=data)


def follow(browser: Browser, form: Form, response: TestResponse) -> None:
    check(form.address, response)
    if 300 <= response.status_code < 400:
        where = urljoin(form.address, response.headers["Location"])
        assert where.startswith(START), (form.address, where)
        check(where, browser.http.get(where))
