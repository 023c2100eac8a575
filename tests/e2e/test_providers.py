"""Other gateways than the default one: mailings go out in their dialects, and a secret is changed meanwhile."""

from pathlib import Path

from sandbox.processes import free_port
from tests.e2e.conftest import StartSystem
from tests.e2e.system import System
from tests.support.waiting import patience

SECRET = "s3cret+&%"

PROFILES = {
    "twilio": """\
[providers.twilio]
preset = "twilio"
url = "{url}/2010-04-01/Accounts/{{account}}/Messages.json"
values = {{ account = "AC1" }}
secrets = {{ token = "file:{secret}" }}
senders = ["+15005550006", "Bank"]
""",
    "infobip": """\
[providers.infobip]
preset = "infobip"
url = "{url}/sms/3/messages"
secrets = {{ key = "file:{secret}" }}
senders = ["Shop", "Bank"]
""",
    "kannel": """\
[providers.kannel]
preset = "kannel"
url = "{url}/cgi-bin/sendsms"
values = {{ user = "shop" }}
secrets = {{ password = "file:{secret}" }}
senders = ["Kiosk", "Bank"]
""",
}
FIRST = {"twilio": "+15005550006", "infobip": "Shop", "kannel": "Kiosk"}
CLIENTS = 20
LASTS = 600


def test_mailings_in_other_dialects(start_system: StartSystem, tmp_path: Path) -> None:
    """A form, nested JSON, plain text with GET. The secret is wrong at first, and mended while messages wait."""
    port, secret = free_port(), tmp_path / "secret"
    texts = {name: text.format(url=f"http://127.0.0.1:{port}", secret=secret) for name, text in PROFILES.items()}
    for name, text in {**texts, "all": "\n".join(texts.values())}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    secret.write_text(f"{SECRET}\n")
    system = start_system(
        "table", "--token", SECRET, "--port", str(port), dispatchers=0,
        PROVIDERS_FILE=str(tmp_path / "all.toml"), PROVIDER_URL="",
    )  # fmt: skip
    system.fill(CLIENTS)
    for name in PROFILES:
        system.start_dispatcher(name, PROVIDERS_FILE=str(tmp_path / f"{name}.toml"))
        _two_mailings(system, name)
        if name == "kannel":
            _changed_secret(system, secret)
        assert system.processes.stop(name) == 0


def _two_mailings(system: System, name: str) -> None:
    for sender in (None, "Bank"):
        system.simulator.forget()
        mailing_id = system.mail(lasts=LASTS, text="Двери «открыты» & 50 % + кофе", sender=sender)
        system.until_sent(mailing_id, CLIENTS)
        received = system.simulator.received().values()
        assert {one.sender for one in received} == {sender or FIRST[name]}
        assert len({one.phone for one in received}) == CLIENTS
        assert system.simulator.summary().broken == {}
        in_seconds = {int(one.validity) * (60 if name == "kannel" else 1) for one in received}
        assert LASTS - 120 <= min(in_seconds) <= max(in_seconds) <= LASTS


def _changed_secret(system: System, secret: Path) -> None:
    """A 401 that a new secret mends goes on within 5 s, without a restart."""
    system.expect("breaker_opened")
    secret.write_text("wrong")
    system.until(lambda: "secrets_renewed" in system.story(), "the new secret is taken up", patience(5))
    system.simulator.forget()
    mailing_id = system.mail()
    system.until(lambda: system.simulator.summary().broken, "the provider refuses the secret")
    system.remains(lambda: not system.simulator.accepted(), "nothing is accepted")
    secret.write_text(SECRET)
    system.until(system.simulator.accepted, "the first one is accepted", patience(5))
    figures = system.until_sent(mailing_id, CLIENTS)
    assert figures["errors"]["unauthorized"] > 0
    assert figures["failed"] == figures["unknown"] == 0
