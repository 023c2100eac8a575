"""A real gateway: Kannel, with a network that is none."""

from pathlib import Path

from sandbox.processes import free_port
from tests.long.conftest import RunSystem
from tests.support.kannel import PASSWORD, SENDER, USER, kannel
from tests.support.waiting import wait_until

CLIENTS = 200

PROFILE = """\
[providers.kannel]
preset = "kannel"
url = "{url}"
values = {{ user = "{user}" }}
secrets = {{ password = "file:{secret}", receipts = "file:{address}" }}
senders = ["{sender}", "Bank"]
receipts = {{}}
"""


def test_a_mailing_goes_out_through_kannel(database_url: str, run_system: RunSystem, tmp_path: Path) -> None:
    """GSM-7 and Cyrillic, one sender and another; each once, to whom it is for, and it says so later. A wrong password
    is ours to mend."""
    secret, address, profile = tmp_path / "password", tmp_path / "address", tmp_path / "providers.toml"
    secret.write_text(PASSWORD)
    address.write_text("where-receipts-go")
    port = free_port()
    with kannel() as gateway:
        profile.write_text(PROFILE.format(url=gateway.url, user=USER, secret=secret, address=address, sender=SENDER))
        system = run_system(
            database_url, None, dispatchers=1, PROVIDERS_FILE=str(profile), PROVIDER_URL="",
            API_PORT=str(port), PUBLIC_URL=f"http://127.0.0.1:{port}",
        )  # fmt: skip
        phones = sorted(f"+{client.phone}" for client in system.fill(CLIENTS))
        sent = []
        for text, sender in [("Sale: 50% @ noon, [all] {prices}", None), ("Распродажа: 50 % «на всё»", "Bank")]:
            mailing_id = system.mail(text=text, sender=sender)
            figures = system.until_sent(mailing_id, CLIENTS)
            assert figures["failed"] == figures["unknown"] == 0
            figures = system.until_figures(
                mailing_id, lambda figures: figures["receipts"]["delivered"] >= CLIENTS, "all are delivered"
            )
            assert figures["receipts"] | {"delivered": 0} == dict.fromkeys(figures["receipts"], 0)
            sent += [(sender or SENDER, phone, text) for phone in phones]
        wait_until(lambda: len(gateway.delivered()) >= 2 * CLIENTS)
        assert sorted(gateway.delivered()) == sorted(sent)

        system.expect("breaker_opened")
        secret.write_text("wrong")
        system.until(lambda: "secrets_renewed" in system.story(), "the new secret is taken up")
        mailing_id = system.mail(text="Third")
        system.until(lambda: "breaker_opened" in system.story(), "the password is refused")
        secret.write_text(PASSWORD)
        figures = system.until_sent(mailing_id, CLIENTS)
        assert figures["errors"]["unauthorized"] > 0
        wait_until(lambda: len(gateway.delivered()) >= 3 * CLIENTS)
        assert len(gateway.delivered()) == 3 * CLIENTS
