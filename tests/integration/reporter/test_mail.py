"""Mail is handed in to a real server: encrypted where it can be, never with a password in clear text."""

import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from dispatcher_service.reporter.mail import MailError, MailServer
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

LOGIN = ("reports", "p@ss/word")
AS_IN_URL = "reports:p%40ss%2Fword"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def cafile(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    return _certified(authority, "127.0.0.1")


def _certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def plain() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


def _message(*recipients: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "reports@shop.example"
    message["To"] = ", ".join(recipients or ("team@shop.example",))
    message["Subject"] = "Отчёт"
    message.set_content("Всё доставлено.\n")
    return message


def test_without_tls_or_login_mail_goes_in_clear_text(plain: Mailbox) -> None:
    assert MailServer.from_url(f"smtp://127.0.0.1:{plain.port}").send(_message()) == []
    [mail] = plain.mails
    assert mail.part("plain") == "Всё доставлено.\n"
    assert mail.message["Subject"] == "Отчёт"
    assert not mail.encrypted


def test_starttls_and_login(tls: ssl.SSLContext, cafile: Path) -> None:
    with Mailbox(tls, login=LOGIN) as mailbox:
        MailServer.from_url(f"smtp://{AS_IN_URL}@127.0.0.1:{mailbox.port}?cafile={cafile}").send(_message())
    assert [(mail.encrypted, mail.user) for mail in mailbox.mails] == [(True, "reports")]


def test_tls_from_the_start_and_login(tls: ssl.SSLContext, cafile: Path) -> None:
    with Mailbox(tls, from_start=True, login=LOGIN) as mailbox:
        MailServer.from_url(f"smtps://{AS_IN_URL}@127.0.0.1:{mailbox.port}?cafile={cafile}").send(_message())
    assert [(mail.encrypted, mail.user) for mail in mailbox.mails] == [(True, "reports")]


def test_starttls_is_used_where_it_is_offered_though_there_is_no_password(tls: ssl.SSLContext, cafile: Path) -> None:
    with Mailbox(tls) as mailbox:
        MailServer.from_url(f"smtp://127.0.0.1:{mailbox.port}?cafile={cafile}").send(_message())
    assert [mail.encrypted for mail in mailbox.mails] == [True]


@pytest.mark.parametrize(
    ("scheme", "credentials"), [("smtp", ""), ("smtp", f"{AS_IN_URL}@"), ("smtps", f"{AS_IN_URL}@")]
)
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_proves_nothing_is_not_accepted(
    scheme: str, credentials: str, wrong: str, authority: trustme.CA, tls: ssl.SSLContext, cafile: Path
) -> None:
    context = tls if wrong == "authority" else _certified(authority, "mail.other.example")
    trusted = "" if wrong == "authority" else f"?cafile={cafile}"
    with Mailbox(context, from_start=scheme == "smtps", login=LOGIN if credentials else None) as mailbox:
        server = MailServer.from_url(f"{scheme}://{credentials}127.0.0.1:{mailbox.port}{trusted}")
        with pytest.raises(MailError) as raised:
            server.send(_message())
    assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
    assert (mailbox.mails, mailbox.logins) == ([], 0)


def test_a_password_is_not_sent_in_clear_text() -> None:
    with Mailbox(login=LOGIN) as mailbox:
        server = MailServer.from_url(f"smtp://{AS_IN_URL}@127.0.0.1:{mailbox.port}")
        with pytest.raises(MailError, match="STARTTLS"):
            server.send(_message())
    assert (mailbox.mails, mailbox.logins) == ([], 0)


def test_a_wrong_password_is_an_error_that_does_not_tell_it(tls: ssl.SSLContext, cafile: Path) -> None:
    with Mailbox(tls, login=LOGIN) as mailbox:
        server = MailServer.from_url(f"smtp://reports:hunter22@127.0.0.1:{mailbox.port}?cafile={cafile}")
        with pytest.raises(MailError, match="535") as raised:
            server.send(_message())
    assert "hunter22" not in str(raised.value) + repr(server)
    assert mailbox.mails == []


def test_a_recipient_who_is_refused_does_not_keep_the_mail_from_the_others(plain: Mailbox) -> None:
    plain.refused = {"gone@shop.example"}
    server = MailServer.from_url(f"smtp://127.0.0.1:{plain.port}")
    assert server.send(_message("gone@shop.example", "team@shop.example")) == ["gone@shop.example"]
    assert [mail.recipients for mail in plain.mails] == [["team@shop.example"]]


def test_all_recipients_refused_is_an_error_with_the_servers_words(plain: Mailbox) -> None:
    plain.refused = {"gone@shop.example"}
    with pytest.raises(MailError, match="550 no such user"):
        MailServer.from_url(f"smtp://127.0.0.1:{plain.port}").send(_message("gone@shop.example"))


def test_the_servers_no_is_an_error(plain: Mailbox) -> None:
    plain.on_mail = lambda: "451 come back later"
    with pytest.raises(MailError, match="451 come back later"):
        MailServer.from_url(f"smtp://127.0.0.1:{plain.port}").send(_message())


def test_a_connection_lost_after_the_mail_was_taken_is_no_error(plain: Mailbox) -> None:
    plain.hangs_up_on_quit = True
    assert MailServer.from_url(f"smtp://127.0.0.1:{plain.port}").send(_message()) == []
    assert len(plain.mails) == 1


def test_no_server_is_an_error(plain: Mailbox) -> None:
    plain.stop()
    with pytest.raises(MailError, match=f"127.0.0.1:{plain.port}"):
        MailServer.from_url(f"smtp://127.0.0.1:{plain.port}").send(_message())


def test_a_host_name_that_cannot_be_one_is_an_error() -> None:
    with pytest.raises(MailError):
        MailServer.from_url(f"smtp://{'a' * 70}.invalid:2525").send(_message())
