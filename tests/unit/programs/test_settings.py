"""Settings are what the environment says, and what makes no sense is one sentence that names the variable."""

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from api_service.web.key import Scope
from dispatcher_service.reporter import letter
from dispatcher_service.reporter.letter import Envelope
from dispatcher_service.reporter.mail import MailServer
from shared import settings
from shared.domain.errors import SettingsError
from shared.domain.retry import DEFAULT_LADDER, RetryPolicy
from shared.ledger.figures import Day
from shared.ledger.report import Report
from shared.settings import Settings

VARIABLES = [attribute.name.upper() for attribute in fields(Settings)]


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of certificates to trust."""
    path = tmp_path_factory.mktemp("tls") / "authorities.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


def _refused(environment: Mapping[str, str]) -> str:
    """The sentence; fails where there is none."""
    with pytest.raises(SettingsError) as raised:
        settings.load(environment)
    sentence = str(raised.value)
    assert len(sentence.splitlines()) == 1
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("value", ["", "  "])
def test_without_an_environment_the_defaults_hold(value: str) -> None:
    defaults = Settings(
        database_url=None, database_direct_url=None, broker_url=None, data_dir=Path(".local"),
        api_host="127.0.0.1", api_port=8000, api_workers=2,
        api_auth=True, api_rate=200, api_connections=100,
        oidc_issuer=None, oidc_client_id="", oidc_client_secret="", oidc_groups_claim="groups", oidc_scopes_by_group={},
        console_keys=False, public_url=None, trusted_proxies=(),
        providers_file=None,
        provider_url="http://127.0.0.1:8090", provider_token="", provider_plaintext=False, provider_timeout=10.0,
        dispatch_concurrency=256, dispatch_rate=0.0, retry_ladder=DEFAULT_LADDER, retry_attempts=10,
        retention_days=90,
        default_timezone="UTC", suppression_keys={}, smtp_url=None, report_from=None, report_to=(), report_at=time(9),
        report_timezone=ZoneInfo("UTC"), report_language="en", ssl_cert_file=None,
        metrics_host="127.0.0.1", metrics_port=0,
        log_level="info", log_format="console",
    )  # fmt: skip
    assert settings.load({}) == defaults
    assert settings.load(dict.fromkeys(VARIABLES, value)) == defaults


def test_every_setting_can_be_set(authorities: Path) -> None:
    values = {
        "DATABASE_URL": "postgresql://user:secret@pooler.example:6432/notify",
        "DATABASE_DIRECT_URL": "postgresql://user:secret@db-1.example,db-2.example:5433/notify",
        "BROKER_URL": "amqps://user:secret@mq-1.example:5671,mq-2.example/%2F",
        "DATA_DIR": "/var/lib/notify",
        "API_HOST": "::",
        "API_PORT": "0",
        "API_WORKERS": "8",
        "API_AUTH": "on",
        "API_RATE": "50",
        "API_CONNECTIONS": "400",
        "OIDC_ISSUER": "https://id.shop.example/realms/shop/",
        "OIDC_CLIENT_ID": "notification-service",
        "OIDC_CLIENT_SECRET": "s3cret~",
        "OIDC_GROUPS_CLAIM": "https://shop.example/groups",
        "OIDC_SCOPES_BY_GROUP": "cn=ops,ou=groups,dc=shop:admin, /team/mail: a:write,readers :read",
        "CONSOLE_KEYS": "allow",
        "PUBLIC_URL": "https://mail.shop.example/notify/",
        "TRUSTED_PROXIES": "10.0.0.5, 2001:db8::/32",
        "PROVIDER_URL": "https://provider.example/base/",
        "PROVIDER_TOKEN": "eyJhbGciOi.JIUzI1NiJ9",
        "PROVIDER_PLAINTEXT": "allow",
        "PROVIDER_TIMEOUT": "2.5",
        "DISPATCH_CONCURRENCY": "10000",
        "DISPATCH_RATE": "0.5",
        "RETRY_LADDER": "1s, 90s,2h,1d",
        "RETRY_ATTEMPTS": "3",
        "RETENTION_DAYS": "30",
        "DEFAULT_TIMEZONE": "Asia/Vladivostok",
        "SUPPRESSION_KEYS": f"1:{'a' * 32}, 3:{'b' * 40}",
        "SMTP_URL": "smtps://user:secret@mail.example",
        "REPORT_FROM": "Отчёты <reports@shop.example>",
        "REPORT_TO": "a@shop.example, B <b@shop.example>",
        "REPORT_AT": "23:59",
        "REPORT_TIMEZONE": "Europe/Moscow",
        "REPORT_LANGUAGE": "ru",
        "SSL_CERT_FILE": str(authorities),
        "METRICS_HOST": "0.0.0.0",
        "METRICS_PORT": "9100",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "Json",
    }
    assert sorted([*values, "PROVIDERS_FILE"]) == sorted(VARIABLES)  # which stands for PROVIDER_URL and PROVIDER_TOKEN
    found = settings.load(values)
    assert found == Settings(
        database_url=values["DATABASE_URL"], database_direct_url=values["DATABASE_DIRECT_URL"],
        broker_url=values["BROKER_URL"], data_dir=Path("/var/lib/notify"),
        api_host="::", api_port=0, api_workers=8, api_auth=True, api_rate=50, api_connections=400,
        oidc_issuer="https://id.shop.example/realms/shop/", oidc_client_id="notification-service",
        oidc_client_secret="s3cret~", oidc_groups_claim="https://shop.example/groups",
        oidc_scopes_by_group={"cn=ops,ou=groups,dc=shop": "admin", "/team/mail: a": "write", "readers": "read"},
        console_keys=True,
        public_url="https://mail.shop.example/notify",
        trusted_proxies=(ip_network("10.0.0.5"), ip_network("2001:db8::/32")),
        providers_file=None,
        provider_url="https://provider.example/base", provider_token=values["PROVIDER_TOKEN"],
        provider_plaintext=True, provider_timeout=2.5, dispatch_concurrency=10000, dispatch_rate=0.5,
        retry_ladder=(timedelta(seconds=1), timedelta(seconds=90), timedelta(hours=2), timedelta(days=1)),
        retry_attempts=3, retention_days=30, default_timezone="Asia/Vladivostok",
        suppression_keys={1: b"a" * 32, 3: b"b" * 40}, smtp_url=values["SMTP_URL"],
        report_from=values["REPORT_FROM"], report_to=("a@shop.example", "B <b@shop.example>"),
        report_at=time(23, 59), report_timezone=ZoneInfo("Europe/Moscow"), report_language="ru",
        ssl_cert_file=authorities,
        metrics_host="0.0.0.0", metrics_port=9100, log_level="debug", log_format="json",
    )  # fmt: skip
    assert found.retry_policy == RetryPolicy(found.retry_ladder, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite:///notify.db"),
        ("DATABASE_URL", "mysql://localhost/notify"),
        ("DATABASE_URL", "localhost"),
        ("DATABASE_URL", "postgresql:notify"),
        ("DATABASE_URL", "postgresql://localhost:port/notify"),
        ("DATABASE_URL", "postgresql://user:p@ss@localhost/notify"),
        ("DATABASE_URL", "postgresql://db-1,db-2:port/notify"),
        ("DATABASE_URL", "postgresql://db-1,/notify"),
        ("DATABASE_DIRECT_URL", "db.example"),
        ("SUPPRESSION_KEYS", "a" * 32),
        ("SUPPRESSION_KEYS", "1:short"),
        ("SUPPRESSION_KEYS", f"0:{'a' * 32}"),
        ("SUPPRESSION_KEYS", f"1:{'a' * 32},1:{'b' * 32}"),
        ("SUPPRESSION_KEYS", f"1:{'a' * 32},"),
        ("BROKER_URL", "http://localhost"),
        ("BROKER_URL", "amqp://mq-1,mq-2:99999/"),
        ("BROKER_URL", "amqp://mq-1,,mq-3/"),
        ("BROKER_URL", "amqp://mq-1/,amqp://mq-2/"),
        ("BROKER_URL", "amqp://"),
        ("BROKER_URL", "amqp://:5672"),
        ("PROVIDER_URL", "provider.example"),
        ("PROVIDER_URL", "ftp://provider.example"),
        ("PROVIDER_URL", "http://provider.example:99999"),
        ("PROVIDER_URL", "http://provider.example:0"),
        ("PROVIDER_URL", "http://[::1"),
        ("PROVIDER_URL", "http://pro vider.example"),
        ("PROVIDER_URL", "http://provider.example/\tx"),
        ("PROVIDER_URL", "http://provider.example/?key=1"),
        ("PROVIDER_URL", "http://provider.example/#top"),
        ("PROVIDER_TOKEN", "two words"),
        ("PROVIDER_TOKEN", "line\nbreak"),
        ("PROVIDER_TOKEN", "жетон"),
        ("PROVIDER_PLAINTEXT", "yes"),
        ("PROVIDER_TIMEOUT", "0"),
        ("PROVIDER_TIMEOUT", "301"),
        ("PROVIDER_TIMEOUT", "nan"),
        ("PROVIDER_TIMEOUT", "1e1"),
        ("PROVIDER_TIMEOUT", "10s"),
        ("API_PORT", "-1"),
        ("API_PORT", "65536"),
        ("API_PORT", "80.0"),
        ("API_PORT", "\uff18\uff10"),
        ("API_WORKERS", "0"),
        ("DISPATCH_CONCURRENCY", "0"),
        ("DISPATCH_CONCURRENCY", "10001"),
        ("DISPATCH_RATE", "-1"),
        ("DISPATCH_RATE", "inf"),
        ("RETRY_LADDER", "5"),
        ("RETRY_LADDER", "0s"),
        ("RETRY_LADDER", "5s,"),
        ("RETRY_LADDER", "30s,5s"),
        ("RETRY_LADDER", "60s,1m"),
        ("RETRY_LADDER", "31d"),
        ("RETRY_LADDER", "5 s"),
        ("RETRY_ATTEMPTS", "0"),
        ("RETRY_ATTEMPTS", "many"),
        ("RETENTION_DAYS", "-1"),
        ("RETENTION_DAYS", "90d"),
        ("DEFAULT_TIMEZONE", "Moscow"),
        ("DEFAULT_TIMEZONE", "../../etc/passwd"),
        ("DEFAULT_TIMEZONE", "/etc/localtime"),
        ("DEFAULT_TIMEZONE", "Europe"),
        ("DEFAULT_TIMEZONE", "europe/moscow"),
        ("REPORT_TIMEZONE", "UTC+3"),
        ("REPORT_LANGUAGE", "de"),
        ("SMTP_URL", "mail.example:587"),
        ("SMTP_URL", "https://mail.example"),
        ("REPORT_FROM", "reports"),
        ("REPORT_FROM", "reports@"),
        ("REPORT_FROM", "a@shop.example, b@shop.example"),
        ("REPORT_FROM", "Doe, John <reports@shop.example>"),
        ("REPORT_FROM", "отчёты@shop.example"),
        ("REPORT_FROM", "reports@shop.example\nBcc: all@shop.example"),
        ("REPORT_FROM", "=?utf-8?q?Reports=0ABcc=3A_all=40shop.example?= <reports@shop.example>"),
        ("REPORT_FROM", "=?utf-8?b?UmVwb3J0cw0KQmNjOiBhQGI=?= <reports@shop.example>"),
        ("REPORT_FROM", '"=?utf-8?q?=0D=0ABcc=3A_a=40b?=" <reports@shop.example>'),
        ("REPORT_TO", "team@shop.example, =?us-ascii?q?=0AX?= <ops@shop.example>"),
        ("REPORT_TO", "team@shop.example,"),
        ("REPORT_TO", "team@shop.example; ops@shop.example"),
        ("REPORT_TO", "<team@shop.example"),
        ("REPORT_AT", "9:00"),
        ("REPORT_AT", "24:00"),
        ("REPORT_AT", "09:00:00"),
        ("REPORT_AT", "noon"),
        ("SSL_CERT_FILE", "/no/such/file"),
        ("SSL_CERT_FILE", "/"),
        ("SSL_CERT_FILE", __file__),
        ("SSL_CERT_FILE", "/\udcff"),
        ("METRICS_PORT", "9100/metrics"),
        ("API_AUTH", "no"),
        ("OIDC_ISSUER", "id.shop.example"),
        ("OIDC_ISSUER", "https://id.shop.example/?realm=shop"),
        ("OIDC_CLIENT_ID", "two words"),
        ("OIDC_SCOPES_BY_GROUP", "ops"),
        ("OIDC_SCOPES_BY_GROUP", "ops:root"),
        ("OIDC_SCOPES_BY_GROUP", ":admin"),
        ("OIDC_SCOPES_BY_GROUP", "ops:admin,"),
        ("OIDC_SCOPES_BY_GROUP", "ops:admin,ops:read"),
        ("CONSOLE_KEYS", "yes"),
        ("API_RATE", "100/minute"),
        ("API_CONNECTIONS", "0"),
        ("PUBLIC_URL", "shop.example"),
        ("PUBLIC_URL", "https://shop.example/?a=b"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.5/8"),
        ("TRUSTED_PROXIES", "10.0.0.5,"),
        ("TRUSTED_PROXIES", "*"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    sentence = _refused({name: value})
    assert sentence.startswith(f"{name} must ")
    assert sum(variable in sentence for variable in VARIABLES) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres:user:hunter2@db.example/notify"),
        ("DATABASE_URL", "mysql://user:hunter2@db.example/notify"),
        ("BROKER_URL", "user:hunter2@mq.example"),
        ("BROKER_URL", "amqp://user:@hunter2@mq.example"),
        ("BROKER_URL", "amqp://user:hunter2/@mq.example"),
        ("SMTP_URL", "smtp:user:hunter2@mail.example"),
        ("SMTP_URL", "smtp://user:hunter2#@mail.example"),
        ("PROVIDER_URL", "key:hunter2@provider.example"),
        ("PROVIDER_TOKEN", "Bearer hunter2"),
        ("OIDC_CLIENT_SECRET", "two hunter2"),
    ],
)
def test_a_secret_is_not_shown(name: str, value: str) -> None:
    assert "hunter2" not in _refused({name: value})


@pytest.mark.parametrize(
    "value",
    [
        "smtp://user@mail.example",
        "smtp://:hunter2@mail.example",
        "smtp://user:hunter2%C3%A9@mail.example",
        "smtp://user:hunter2%0D%0ARSET@mail.example",
        "smtp://user%0A:hunter2@mail.example",
        "smtp://user:hunter2@mail.example?cafile=%00",
        "smtp://user:hunter2@mail.example/path",
        "smtp://user:hunter2@mail.example?cert=/x",
        "smtp://user:hunter2@mail.example?cafile=/no/such/file",
        f"smtp://user:hunter2@mail.example?cafile={__file__}",
    ],
)
def test_what_no_mail_server_can_be_made_of_is_refused_too(value: str) -> None:
    accepted = settings.load({"SMTP_URL": value}).smtp_url
    with pytest.raises(SettingsError, match="SMTP_URL ") as raised:
        MailServer.from_url(accepted or "")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "user"),
    [
        ("smtp://mail.example", "mail.example", 587, False, None),
        ("smtps://mail.example/", "mail.example", 465, True, None),
        ("smtp://mail.example:25", "mail.example", 25, False, None),
        ("smtps://u%40shop.example:p%2F%3A@[::1]:2465", "::1", 2465, True, "u@shop.example"),
    ],
)
def test_a_mail_server_is_what_its_url_says(url: str, host: str, port: int, tls: bool, user: str | None) -> None:
    server = MailServer.from_url(settings.load({"SMTP_URL": url}).smtp_url or "")
    assert (server.host, server.port, server.tls, server.user) == (host, port, tls, user)
    assert server.password == ("p/:" if user else "")
    assert "p/:" not in repr(server)


SIGN_IN = {
    "OIDC_ISSUER": "https://id.shop.example",
    "OIDC_CLIENT_ID": "notification-service",
    "OIDC_SCOPES_BY_GROUP": "ops:admin",
}


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({"OIDC_ISSUER": ""}, "OIDC_CLIENT_ID must stand beside OIDC_ISSUER"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID must stand beside OIDC_ISSUER"),
        ({"OIDC_SCOPES_BY_GROUP": ""}, "OIDC_SCOPES_BY_GROUP must stand beside OIDC_ISSUER"),
        ({"OIDC_ISSUER": "http://id.shop.example"}, "OIDC_ISSUER must begin with https://"),
        ({"API_AUTH": "off"}, "OIDC_ISSUER may not stand beside API_AUTH=off"),
    ],
)
def test_an_identity_provider_is_named_as_a_whole(differs: Mapping[str, str], said: str) -> None:
    assert settings.load(SIGN_IN).oidc_issuer == "https://id.shop.example"
    assert settings.load(SIGN_IN | {"OIDC_ISSUER": "http://127.0.0.1:5000"}).oidc_issuer == "http://127.0.0.1:5000"
    assert _refused({**SIGN_IN, **differs}).startswith(said)


def test_groups_are_allowed_what_keys_are() -> None:
    assert list(settings.SCOPES) == list(Scope)


@pytest.mark.parametrize("name", ["PROVIDER_URL", "PROVIDER_TOKEN"])
def test_a_file_of_providers_stands_alone(name: str) -> None:
    assert settings.load({"PROVIDERS_FILE": "/etc/providers.toml"}).providers_file == Path("/etc/providers.toml")
    with pytest.raises(SettingsError, match=f"^{name} may not stand beside PROVIDERS_FILE"):
        settings.load({"PROVIDERS_FILE": "/etc/providers.toml", name: "https://provider.example"})


@pytest.mark.parametrize("secret", ["PROVIDER_TOKEN", "PROVIDER_URL"])
@pytest.mark.parametrize(
    ("host", "is_near"),
    [
        ("simulator:8090", True),  # a container
        ("localhost", True),
        ("sms.localhost", True),
        ("gateway.local", True),
        ("gateway.svc.cluster.local", True),
        ("gateway.corp.internal", True),
        ("127.0.0.1:8090", True),
        ("127.8.8.8", True),
        ("10.1.2.3", True),
        ("192.168.0.7", True),
        ("169.254.1.1", True),
        ("[::1]", True),
        ("[fd00::7]", True),
        ("[fe80::7]", True),
        ("[::ffff:10.1.2.3]", True),
        ("provider.example.com", False),
        ("provider.com.", False),
        ("com.", False),
        ("local.example.com", False),
        ("8.8.8.8", False),
        ("[2001:4860:4860::8888]", False),
        ("[::ffff:8.8.8.8]", False),
        ("134744072", False),  # 8.8.8.8, as old resolvers read it
        ("0x08080808", False),
        ("0x7f.1", False),
        ("127.1", False),
    ],
)
def test_a_token_goes_to_a_public_host_over_tls_only(host: str, is_near: bool, secret: str) -> None:
    with_user = "hunter2@" if secret == "PROVIDER_URL" else ""
    plain = {"PROVIDER_URL": f"http://{with_user}{host}", "PROVIDER_TOKEN": "" if with_user else "hunter2"}
    if is_near:
        settings.load(plain)
        return
    sentence = _refused(plain)
    assert "PROVIDER_URL must begin with https://" in sentence
    assert "PROVIDER_PLAINTEXT=allow" in sentence
    assert "hunter2" not in sentence
    settings.load(plain | {"PROVIDER_PLAINTEXT": "allow"})
    settings.load(plain | {"PROVIDER_URL": plain["PROVIDER_URL"].replace("http:", "https:")})
    settings.load({"PROVIDER_URL": f"http://{host}"})  # there is nothing to be read


# No NUL: no environment can hold one. Of surrogates those that stand for bytes that are no UTF-8.
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    max_size=20,
)
addresses = (
    st.text('ab@.<>"(),:;[]\\ =?\té', max_size=14)
    | st.from_regex(r"([\w \"'().]{0,6} ?<)?[a-z.+]{1,4}@[a-z.\[\]-]{1,6}>?", fullmatch=True)
    | st.from_regex(r'"?=\?(utf-8|ascii)\?[qQ]\?(x|=0A|=0D|=3A|_){1,6}\?="? <a@b>', fullmatch=True)
)


urls = st.from_regex(r"(smtps?|https?|amqps?|postgres(ql)?)://\S{0,12}") | texts.map("http://[{}]:1/".format)


@given(st.sampled_from(VARIABLES), texts | addresses | urls)
@example("REPORT_FROM", "\t.[")
@example("REPORT_TO", "(")
@example("DEFAULT_TIMEZONE", "Europe/\udcff")
def test_any_value_is_taken_or_refused_in_a_sentence(name: str, value: str) -> None:
    try:
        settings.load({name: value})
    except SettingsError as error:
        sentence = str(error)
    else:
        return
    assert sentence.startswith(f"{name} ")
    assert len(sentence.splitlines()) == 1
    assert sentence.isprintable()


@given(addresses, addresses)
@example('"Doe, John" <a@shop.example>', "Отдел <b@shop.example>")
@example("=?utf-8?q?x?= <a@b>", "J. R. <b@c>")
@example("=?utf-8?q?x=0ABcc=3A_c=40d?= <a@b>", '"=?utf-8?q?=0D=0ABcc=3A_c=40d?=" <b@c>')
def test_a_mail_can_be_addressed_with_every_address_that_is_taken(sender: str, recipient: str) -> None:
    try:
        found = settings.load({"REPORT_FROM": sender, "REPORT_TO": recipient})
    except SettingsError:
        return
    if not (found.report_from and found.report_to):
        return
    message = letter.compose(
        _EMPTY, Envelope(found.report_from, found.report_to), "name", datetime(2026, 1, 31, tzinfo=UTC)
    )
    header = message.as_bytes().partition(b"\r\n\r\n")[0]
    assert header.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", header), "a line break of its own"
    names = {line.partition(b":")[0] for line in header.split(b"\r\n") if not line.startswith((b" ", b"\t"))}
    assert names == {field.encode() for field in _FIELDS}
    assert len(message["From"].addresses) == 1
    assert [address.addr_spec in recipient for address in message["To"].addresses] == [True] * len(found.report_to)


_FIELDS = {"Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
_EMPTY = Report(
    day=datetime(2026, 1, 30, tzinfo=UTC).date(),
    start=datetime(2026, 1, 30, tzinfo=ZoneInfo("UTC")),
    end=datetime(2026, 1, 31, tzinfo=ZoneInfo("UTC")),
    figures=Day(0, {}, {}, []),
    largest=[],
)
