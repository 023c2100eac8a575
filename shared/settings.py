"""The settings: read from the environment here and nowhere else. README.md lists them with their meaning."""

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shared.domain.errors import SettingsError
from shared.domain.hosts import is_near, nodes
from shared.domain.retry import DEFAULT_LADDER, RetryPolicy
from shared.domain.timezones import zone

T = TypeVar("T")
D = TypeVar("D")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

SCOPES = ("read", "test", "write", "admin")
"""What keys, and groups of people, may be allowed (`api_service.web.key.Scope`)."""

_BEHIND_A_SCOPE = re.compile("|".join(rf"(?<=:{scope})\s*," for scope in SCOPES))

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
_MAILBOX = re.compile(rf"""{_ADDRESS}|(?:[^]["\\<>@,;:()]*|"[^"\\]*"\s*)<{_ADDRESS}>""")


@dataclass(frozen=True, slots=True)
class Settings:
    """One attribute per variable, in lower case. Times are in seconds unless their type says otherwise."""

    database_url: str | None  # None: an embedded PostgreSQL under data_dir
    database_direct_url: str | None  # PostgreSQL itself, where database_url is a pooler; None: it is none
    broker_url: str | None  # None: the table broker, in the database
    data_dir: Path
    api_host: str
    api_port: int
    api_workers: int
    api_auth: bool  # whether requests need a key
    api_rate: int  # requests per second of one key, per worker; 0: no limit
    api_connections: int  # of one address, per worker
    oidc_issuer: str | None  # who signs people in on the console; None: they have keys
    oidc_client_id: str
    oidc_client_secret: str
    oidc_groups_claim: str
    oidc_scopes_by_group: Mapping[str, str]  # what the members of a group may do
    console_keys: bool  # whether keys sign in on the console beside oidc_issuer
    public_url: str | None  # by which providers reach this service; None: they are not told where to send receipts
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]  # whose X-Forwarded-* are believed
    providers_file: Path | None  # profiles of providers; None: there is one, at provider_url
    provider_url: str
    provider_token: str
    provider_plaintext: bool  # whether the token may travel to a public host without TLS
    provider_timeout: float
    dispatch_concurrency: int
    dispatch_rate: float  # messages per second over all dispatchers; 0: no limit
    retry_ladder: tuple[timedelta, ...]
    retry_attempts: int
    retention_days: int  # after a mailing has finished; 0: nothing is ever removed
    default_timezone: str
    suppression_keys: Mapping[int, bytes]  # secrets by version; none: one is kept under data_dir
    smtp_url: str | None
    report_from: str | None
    report_to: tuple[str, ...]
    report_at: time
    report_timezone: ZoneInfo
    report_language: str  # en, ru
    ssl_cert_file: Path | None  # the authorities to trust; None: the machine's. Read by Python's ssl, too
    metrics_host: str
    metrics_port: int  # 0: any free one, named in the log
    log_level: str
    log_format: str

    @property
    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy(self.retry_ladder, self.retry_attempts)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises SettingsError with a sentence that names the variable."""
    read = _Reader(os.environ if environment is None else environment)
    found = Settings(
        database_url=read("DATABASE_URL", _url("postgresql", "postgres"), None),
        database_direct_url=read("DATABASE_DIRECT_URL", _url("postgresql", "postgres"), None),
        broker_url=read("BROKER_URL", _url("amqp", "amqps"), None),
        data_dir=read("DATA_DIR", Path, Path(".local")),
        api_host=read("API_HOST", str, "127.0.0.1"),
        api_port=read("API_PORT", _integer(0, 65535), 8000),
        api_workers=read("API_WORKERS", _integer(1, 64), 2),
        api_auth=read("API_AUTH", _choice("on", "off"), "on") == "on",
        api_rate=read("API_RATE", _integer(0, 1_000_000), 200),
        api_connections=read("API_CONNECTIONS", _integer(1, 800), 100),
        oidc_issuer=read("OIDC_ISSUER", _url("http", "https"), None),
        oidc_client_id=read("OIDC_CLIENT_ID", _token, ""),
        oidc_client_secret=read("OIDC_CLIENT_SECRET", _token, ""),
        oidc_groups_claim=read("OIDC_GROUPS_CLAIM", _token, "groups"),
        oidc_scopes_by_group=read("OIDC_SCOPES_BY_GROUP", _scopes, {}),
        console_keys=read("CONSOLE_KEYS", _choice("allow", "refuse"), "refuse") == "allow",
        public_url=(read("PUBLIC_URL", _url("http", "https"), None) or "").rstrip("/") or None,
        trusted_proxies=read("TRUSTED_PROXIES", _networks, ()),
        providers_file=read("PROVIDERS_FILE", Path, None),
        provider_url=read("PROVIDER_URL", _url("http", "https"), "http://127.0.0.1:8090").rstrip("/"),
        provider_token=read("PROVIDER_TOKEN", _token, ""),
        provider_plaintext=read("PROVIDER_PLAINTEXT", _choice("allow", "refuse"), "refuse") == "allow",
        provider_timeout=read("PROVIDER_TIMEOUT", _number(0.05, 300), 10.0),
        dispatch_concurrency=read("DISPATCH_CONCURRENCY", _integer(1, 10_000), 256),
        dispatch_rate=read("DISPATCH_RATE", _number(0, 1_000_000), 0.0),
        retry_ladder=read("RETRY_LADDER", _ladder, DEFAULT_LADDER),
        retry_attempts=read("RETRY_ATTEMPTS", _integer(1, 1000), 10),
        retention_days=read("RETENTION_DAYS", _integer(0, 36_500), 90),
        default_timezone=read("DEFAULT_TIMEZONE", zone, ZoneInfo("UTC")).key,
        suppression_keys=read("SUPPRESSION_KEYS", _versions, {}),
        smtp_url=read("SMTP_URL", _url("smtp", "smtps"), None),
        report_from=read("REPORT_FROM", _address, None),
        report_to=read("REPORT_TO", _addresses, ()),
        report_at=read("REPORT_AT", _time_of_day, time(9)),
        report_timezone=read("REPORT_TIMEZONE", zone, ZoneInfo("UTC")),
        report_language=read("REPORT_LANGUAGE", _choice("en", "ru"), "en"),
        ssl_cert_file=read("SSL_CERT_FILE", _authorities, None),
        metrics_host=read("METRICS_HOST", str, "127.0.0.1"),
        metrics_port=read("METRICS_PORT", _integer(0, 65535), 0),
        log_level=read("LOG_LEVEL", _choice("debug", "info", "warning", "error"), "info"),
        log_format=read("LOG_FORMAT", _choice("json", "console"), "console"),
    )
    if found.database_direct_url and not found.database_url:
        raise SettingsError("DATABASE_DIRECT_URL must stand beside DATABASE_URL, which names the pooler.")
    if found.providers_file:
        if named := [name for name in ("PROVIDER_URL", "PROVIDER_TOKEN") if read(name, str, None)]:
            raise SettingsError(f"{named[0]} may not stand beside PROVIDERS_FILE, which names the providers.")
    elif not found.provider_plaintext and _tells_everybody(found.provider_url, found.provider_token):
        raise SettingsError(
            "PROVIDER_URL must begin with https://, or everybody on the way to that host reads the credentials:"
            " PROVIDER_PLAINTEXT=allow permits it."
        )
    _check_sign_in(found)
    return found


def _check_sign_in(found: Settings) -> None:
    """Raises SettingsError where nobody could sign in as it is meant."""
    if not found.oidc_issuer:
        given = {"OIDC_CLIENT_ID": found.oidc_client_id, "OIDC_SCOPES_BY_GROUP": found.oidc_scopes_by_group}
        if lonely := [name for name, value in given.items() if value]:
            raise SettingsError(f"{lonely[0]} must stand beside OIDC_ISSUER, which names the identity provider.")
        return
    if not found.api_auth:
        raise SettingsError("OIDC_ISSUER may not stand beside API_AUTH=off, with which nobody signs in.")
    parts = urlsplit(found.oidc_issuer)
    if parts.scheme == "http" and not is_near(parts.hostname or ""):
        raise SettingsError("OIDC_ISSUER must begin with https://: who is between could sign in as anybody.")
    if not found.oidc_client_id:
        raise SettingsError("OIDC_CLIENT_ID must stand beside OIDC_ISSUER: the name that this service has there.")
    if not found.oidc_scopes_by_group:
        raise SettingsError("OIDC_SCOPES_BY_GROUP must stand beside OIDC_ISSUER: without it nobody may do anything.")


def variable(name: str) -> str | None:
    """One that a file of the operator's names: a secret."""
    return os.environ.get(name)


def use_metrics_directory(directory: Path) -> None:
    """Tells prometheus_client, which looks only there, that several processes share one set of metrics."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


_SOCKETS = ("postgresql", "postgres")
"""Schemes of URLs that need no host."""

_SEVERAL = (*_SOCKETS, "amqp", "amqps")
"""Schemes of URLs that may name several hosts, separated by commas."""

_ENCODED = "; in a name or password @ is written %40, / %2F, : %3A, ? %3F, # %23 and % %25"


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __call__(self, name: str, parse: Callable[[str], T], default: D) -> T | D:
        """An empty variable counts as one that is not set, as in a compose file."""
        text = self._environment.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            shown = "" if name.endswith(("_URL", "_TOKEN", "_KEYS", "_SECRET")) else f" (it is {text!r})"
            raise SettingsError(f"{name} {error}{shown}.") from error


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        wanted = " or ".join(f"{scheme}://…" for scheme in schemes)
        try:
            parts = urlsplit(text)
            hosts = [urlsplit(one) for one in (nodes(text) if parts.scheme in _SEVERAL else [text])]
            port_is_fine = all(one.port is None or one.port > 0 for one in hosts)
        except ValueError:
            port_is_fine = False
        plain = text.isprintable() and " " not in text
        if not plain or not port_is_fine or parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
            raise ValueError(f"must be a URL of the form {wanted}{_ENCODED if '@' in text else ''}")
        if parts.netloc.count("@") > 1:
            raise ValueError(f"must have one @{_ENCODED}")
        if parts.scheme in _SEVERAL and "://" in parts.path:
            raise ValueError(f"must be one URL; several hosts stand before its path: {parts.scheme}://one,two:1234/…")
        if not all(one.hostname for one in hosts) and (parts.scheme not in _SOCKETS or len(hosts) > 1):
            raise ValueError("must name a host")
        if parts.scheme in ("http", "https") and (parts.query or parts.fragment):
            raise ValueError("must end with a path")
        if parts.scheme in ("http", "https") and not text.isascii():
            raise ValueError("must be ASCII: xn--… for a host, %… in a path")
        return text

    return parse


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text) or not least <= float(text) <= most:
            raise ValueError(f"must be a number from {least:g} to {most:g}")
        return float(text)

    return parse


def _choice(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return text.lower()

    return parse


def _token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("must be printable ASCII without spaces")
    return text


def _versions(text: str) -> Mapping[int, bytes]:
    """What must stay secret, and is never changed: only joined by a higher version."""
    found: dict[int, bytes] = {}
    for part in text.split(","):
        match = re.fullmatch(r"([1-9][0-9]{0,3}):([\x21-\x2b\x2d-\x7e]{32,})", part.strip())
        if not match or int(match[1]) in found:
            raise ValueError("must be secrets by version, such as 1:…,2:…, of 32 characters or more each")
        found[int(match[1])] = match[2].encode()
    return found


def _scopes(text: str) -> Mapping[str, str]:
    """A group may have any name, also one with colons and commas: a colon before the name of a scope ends it."""
    found: dict[str, str] = {}
    for part in _BEHIND_A_SCOPE.split(text):
        group, _, scope = part.strip().rpartition(":")
        if not group.strip() or scope not in SCOPES or group.strip() in found:
            raise ValueError(
                f"must be groups with what they may do ({', '.join(SCOPES)}), such as ops:admin,shop:write"
            )
        found[group.strip()] = scope
    return found


def _authorities(text: str) -> Path:
    """OpenSSL and libcurl would say nothing of a file that is not there, and trust whom the machine trusts."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(text)
    except ssl.SSLError as error:
        raise ValueError("must name a file of certificates in PEM") from error
    except (OSError, UnicodeError) as error:
        raise ValueError(f"must name a file that can be read: {getattr(error, 'strerror', 'no such name')}") from error
    return Path(text)


def _tells_everybody(url: str, token: str) -> bool:
    """Whether a secret would travel in plain text to a host that may be anywhere."""
    parts = urlsplit(url)
    return parts.scheme == "http" and bool(token or parts.username) and not is_near(parts.hostname or "")


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(","))
    except ValueError as error:
        raise ValueError("must be addresses or networks such as 10.0.0.5,192.168.0.0/16,2001:db8::/32") from error


def _ladder(text: str) -> tuple[timedelta, ...]:
    rungs = []
    for part in text.split(","):
        match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", part.strip())
        if not match or int(match[1]) * _UNITS[match[2]] > 30 * 86400:
            raise ValueError("must be delays such as 5s,30s,2m,10m,1h, of 30 days at the most each")
        rungs.append(timedelta(seconds=int(match[1]) * _UNITS[match[2]]))
    if rungs != sorted(set(rungs)):
        raise ValueError("must be ascending, no delay twice")
    return tuple(rungs)


def _time_of_day(text: str) -> time:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("must be a time of day such as 09:00")
    return time.fromisoformat(text)


def _address(text: str) -> str:
    if not _MAILBOX.fullmatch(text) or not text.isprintable():
        raise ValueError("must be an e-mail address such as reports@shop.example or Reports <reports@shop.example>")
    if "=?" in text:  # decoded on the way into a header, where a line break in it would begin another one
        raise ValueError("must have its name as it is read, without encoded words (=?…?=)")
    return text


def _addresses(text: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in text.split(","))
    for address in addresses:
        _address(address)
    return addresses
