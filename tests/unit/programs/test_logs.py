"""What a line of the log never shows, in whatever it is wrapped."""

import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from shared import logs

PHONE, SECRET = "79123456789", "q" * 43
KEY = f"nsk_feedfacebeef_{SECRET}"


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


class Thing:
    def __repr__(self) -> str:
        return f"Thing({PHONE}, {KEY})"


@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_phone_and_no_secret(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("test", "info", form)
    log = logs.logger()
    log.info("plain", path=f"/clients/{PHONE}/", phone=int(PHONE), number=int(PHONE), token="t0ken", secret="s3cret")
    log.info("nested", ids=[1, int(PHONE)], data={"key": KEY, "more": (PHONE,)}, thing=Thing())
    log.info(f"event {PHONE} {KEY}")
    log.warning("url", error="could not connect: postgresql://notify:s3cret@db/notify and amqp://a:s3cret@mq")
    logging.getLogger("somebody.else").warning("Key (phone)=(%s) already exists, %s", PHONE, KEY)
    try:
        raise ValueError(f"DETAIL: Key (phone)=({PHONE}) already exists.", KEY)
    except ValueError:
        log.exception("failed")
        logging.getLogger("somebody.else").exception("failed")
    told = capsys.readouterr().out
    for secret in (PHONE, "3456789", SECRET, "s3cret", "t0ken"):
        assert secret not in told
    assert told.count("7912*****89") >= 8
    assert told.count("nsk_feedfacebeef_***") >= 5  # whose key it was may be known
    if form == "json":
        events = [json.loads(line) for line in told.splitlines()]
        assert len(events) == 7
        assert events[1]["ids"] == [1, "7912*****89"]


def test_other_numbers_are_left_alone() -> None:
    for text in ("9123456789", "791234567890", "179123456789", "2026-01-31T09:00:00.791234Z", "mailing 7912"):
        assert logs.without_secrets(text) == text
    assert not re.search("[*]", logs.without_secrets("http://127.0.0.1:8000/clients/ at 12:00 by a@b"))
