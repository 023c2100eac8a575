"""Files of providers that make no sense: each is told by its line and key, and nothing secret is shown."""

import pytest

from shared.domain.profile.document import DocumentError, read_document
from shared.domain.profile.lines import lines_of, spelled
from shared.domain.profile.provider import Limits, Provider, Source
from shared.providers.presets import presets

GOOD = """\
[providers.own]
url = "https://sms.example/send"
form = { to = "{phone}", text = "{text}" }
rules = [{ path = "ok", is = true, outcome = "accepted" }]
"""


def read(text: str) -> Provider:
    (provider,) = read_document(text, presets(), Limits())
    return provider


def faults(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_document(text, presets(), Limits())
    return [str(fault) for fault in caught.value.faults]


def test_a_file_that_makes_sense() -> None:
    provider = read(GOOD)
    assert provider.name == "own"
    assert provider.request.method == "POST"
    assert provider.limits == Limits()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('urll = "x"', "urll: there is no such key (is it url?)"),
        ("plaintext = 1", "plaintext: must be true or false"),
        ('method = "DELETE"', "method: must be one of GET, POST, PUT"),
        ('method = "GET"', "method: has no body, so form and json may not stand beside it"),
        ('json = { a = "b" }', "json: may not stand beside form"),
        ('query = { key = "{" }', "query.key: has a lone {; a brace that is meant as such is written twice"),
        ('query = { key = "{id:soon}" }', "query.key: has {id:soon}: id has no form 'soon'"),
        ('query = { key = "{id:number}" }', "query.key: has :number, which makes a difference in json only"),
        ('headers = { "X Y" = "1" }', "headers.X Y: is no name of a header"),
        ('headers = { Host = "1" }', "headers.Host: is a header that is set by itself"),
        ('headers = { X = "{text}" }', "headers.X: may not have {text}, which is not always ASCII"),
        ('headers = { X = "a\\nY: b" }', "headers.X: must be printable ASCII"),
        ('basic = { user = "x" }', "basic: must have a user and a password"),
        ('values = { key = "1" }', "values.key: {key} is used nowhere"),
        ('values = { text = "1" }', "values.text: is the name of something that each message has"),
        ("limits = { timeout = 0 }", "limits.timeout: must be a number from 0.05 to 300"),
        ("limits = { rates = 5 }", "limits.rates: there is no such key (is it rate?)"),
        ("limits = { validity = [60, 1] }", "limits.validity: must be seconds from 1 to 2678400, the least first"),
        ('routing = { operator_codes = ["7916"] }',
         'routing.operator_codes: must be operator codes of three digits, such as ["916", "917"]'),
        ('senders = ["A", "A"]', "senders: has one text twice"),
        ('reference = { path = "a", pattern = "b" }', "reference: must have a path or a pattern"),
        ('reference = { path = "a.*.b" }', "reference.path: must name one place: * stands for many"),
        ('preset = "nexmo"', "preset: must be one of infobip, kannel, seed, smsaero, smsc, twilio, vonage"),
        ("limits = 5", "limits: must be a table"),
    ],
)  # fmt: skip
def test_a_key_that_makes_no_sense(line: str, fault: str) -> None:
    assert f"line 5, providers.own.{fault}" in faults(GOOD + line + "\n")


@pytest.mark.parametrize(
    "line",
    [
        'values = { it = "Магазин" }',
        'alphabet = { gsm7 = "0", other = "вторая" }',
        'alphabet = { gsm7 = "0\\nA: b", other = "2" }',
    ],
)
def test_what_is_no_part_of_a_header(line: str) -> None:
    """It would be found out at the first call."""
    name = "it" if line.startswith("values") else "alphabet"
    found = faults(GOOD + f'headers = {{ X = "a{{{name}}}" }}\n{line}\n')
    assert found == [f"line 5, providers.own.headers.X: may not have {{{name}}}, which is not printable ASCII"]
    read(GOOD + f'query = {{ x = "{{{name}}}" }}\n{line}\n')  # where it is encoded


RECEIPTS = """\
secrets = { receipts = "env:RECEIPTS" }
[providers.own.receipts]
id = "id"
status = "status"
values = { ok = "delivered" }
authentication = { kind = "path", secret = "{receipts}" }
"""


def test_what_receipts_name_is_used() -> None:
    read(GOOD + RECEIPTS)
    (fault,) = faults(GOOD + RECEIPTS.replace('"status"', '"*"'))
    assert fault == "line 8, providers.own.receipts.status: must name one place: * stands for many"
    said = RECEIPTS.replace("RECEIPTS", 'RECEIPTS", more = "env:MORE') + 'answer = { body = "{more}" }\n'
    assert faults(GOOD + said) == ["line 5, providers.own.secrets.more: {more} is used nowhere"]


def test_a_name_that_stands_for_nothing() -> None:
    fault = "line 1, providers.own: {key} stands for nothing: name it in values or secrets"
    assert faults(GOOD + 'query = { key = "{key}" }\n') == [fault]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ('{ path = "ok", outcome = "accepted" }, { path = "ok", is = 1, outcome = "refused" }',
         "[2]: can never hold: rule 1 takes all that it would"),
        ('{ outcome = "accepted" }, { status = 200, pattern = "x", outcome = "refused" }',
         "[2]: can never hold: rule 1 takes all that it would"),
        ('{ path = "c", is = [1, 2], outcome = "accepted" }, { path = "c", is = 2, outcome = "refused" }',
         "[2]: can never hold: rule 1 takes all that it would"),
        ('{ path = "c", type = "number", outcome = "accepted" }, { path = "c", is = 2, outcome = "refused" }',
         "[2]: can never hold: rule 1 takes all that it would"),
        ('{ status = 204, path = "c", outcome = "accepted" }',
         "[1]: can never hold: an answer of this status has no body"),
        ('{ status = [], outcome = "accepted" }', "[1].status: can never hold: it names no status"),
        ('{ status = 700, outcome = "accepted" }',
         '[1].status: must be a status from 200 to 599, a class such as "4xx", or a list of these'),
        ('{ status = 500, outcome = "accepted" }', "[1].status: accepted goes with statuses from 200 to 299 only"),
        ('{ outcome = "fine" }',
         "[1].outcome: must be one of accepted, refused, transient, limited, unauthorized, ambiguous"),
        ('{ path = "a..b", outcome = "accepted" }',
         "[1].path: must be names and places joined by dots, such as messages.0.id, with one * at the most"),
        ('{ path = "a", is = 1, type = "integer", outcome = "accepted" }',
         "[1]: may have only one of is, type and pattern"),
        ('{ is = 1, outcome = "accepted" }', "[1]: must have a path: is and type look at a value of the answer"),
        ('{ path = "a", outcome = "refused", error = "unpaid" }', "[1].error: refused is counted as rejected"),
        ('{ path = "a", outcom = "refused" }', "[1].outcom: there is no such key (is it outcome?)"),
        ('{ pattern = "(a)\\\\1", outcome = "accepted" }',
         "[1].pattern: must be a regular expression of RE2, without references and looking around:"
         " invalid escape sequence: \\1"),
        ('{ pattern = "(((a{100}){100}){100})", outcome = "accepted" }',
         "[1].pattern: must be a regular expression of RE2, without references and looking around:"
         " invalid repetition size: {100}"),
        ('{ path = "a", outcome = "refused" }',
         ": must have one with the outcome accepted, or nothing would ever count as sent"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense(rule: str, fault: str) -> None:
    text = GOOD.replace('{ path = "ok", is = true, outcome = "accepted" }', rule)
    assert f"line 4, providers.own.rules{fault}" in faults(text)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("sms.example/send", "must be of the form https://… or http://…"),
        ("ftp://sms.example", "must be of the form https://… or http://…"),
        ("https://sms.example/?key=1", "must end with a path; what stands behind ? is named in query"),
        ("https://sms.example/{sender}", "may not have {sender}, which not every message has"),
        ("https://пример.рф/", "must be ASCII without blanks: xn--… for a host, %… in a path"),
        ("http://sms.example/", "must begin with https://, or everybody on the way to that host reads phones, texts and"
         " credentials: plaintext = true permits it"),
        ("http://8.8.8.8/", "must begin with https://, or everybody on the way to that host reads phones, texts and"
         " credentials: plaintext = true permits it"),
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense(url: str, fault: str) -> None:
    text = GOOD.replace("https://sms.example/send", url)
    assert faults(text) == [f"line 2, providers.own.url: {fault}"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://10.1.2.3/", "http://kannel:13013/", "http://[::1]/"])
def test_plain_text_stays_in_the_house(url: str) -> None:
    read(GOOD.replace("https://sms.example/send", url))
    read(GOOD.replace("https://sms.example/send", "http://sms.example/") + "plaintext = true\n")


def test_a_secret_that_stands_in_the_file_is_not_shown() -> None:
    (fault,) = faults(GOOD + 'headers = { Authorization = "Bearer {token}" }\nsecrets = { token = "hunter2" }\n')
    assert fault == (
        "line 6, providers.own.secrets.token: must say where the secret is: env:NAME, or file: and a path from the root"
    )


def test_a_secret_says_where_it_is() -> None:
    provider = read(
        GOOD + 'headers = { A = "{one}", B = "{two}" }\nsecrets = { one = "env:ONE", two = "file:/run/secrets/two" }\n'
    )
    one, two = provider.secrets["one"], provider.secrets["two"]
    assert (one.source, one.where, one.place) == (Source.ENV, "ONE", "line 6, providers.own.secrets.one")
    assert (two.source, two.where) == (Source.FILE, "/run/secrets/two")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "providers: must have a table for each provider: [providers.NAME]"),
        ("[providers]\n", "line 1, providers: must have a table for each provider: [providers.NAME]"),
        ("[providers.own\n", "line 1, TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\n" + GOOD, "line 1, a: there is no such key; there are providers"),
        (GOOD.replace(".own", ".Own"),
         "line 1, providers.Own: must be named by small letters, digits, - and _, 32 at the most, a letter first"),
        (GOOD + GOOD, "line 5, TOML: Cannot declare ('providers', 'own') twice"),
        ("[providers.x]\npreset = 'twilio'\n",
         "line 1, providers.x: {account} stands for nothing: name it in values or secrets"),
        ("[providers.x]\npreset = 'twilio'\n",
         "line 1, providers.x.senders: must be given: the provider takes no message without a sender"),
        ("[providers.x]\nurl = 'https://x.example'\n",
         "line 1, providers.x: {phone} is nowhere in url, query, headers, form or json"),
        ("a = " + "[" * 5000, "TOML: TOML inline arrays/tables are nested more than the allowed 997 levels"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense(text: str, fault: str) -> None:
    found = faults(text)
    if "nested" in fault:
        assert found[0].startswith("TOML: ")
    else:
        assert fault in found


def test_every_key_has_its_line() -> None:
    text = (
        '# first\n"a b" = """\ntwo\n"""\n[x.y] # c\nk = [\n  1,\n  { m = "}]", n = [2] },\n]\n'
        "[[x.z]]\np = 1\n[[x.z]]\np.q = '#'\n[x.z.w]\nr = 2026-11-30T10:00:00Z\n"
    )
    lines = {spelled(key): line for key, line in lines_of(text).items()}
    assert lines == {
        "a b": 2, "x.y": 5, "x.y.k": 6, "x.y.k[1]": 7, "x.y.k[2]": 8, "x.y.k[2].m": 8, "x.y.k[2].n": 8,
        "x.y.k[2].n[1]": 8, "x.z[1]": 10, "x.z[1].p": 11, "x.z[2]": 12, "x.z[2].p": 13, "x.z[2].p.q": 13,
        "x.z[2].w": 14, "x.z[2].w.r": 15,
    }  # fmt: skip
