"""Mail comes all the time while services that Postfix talks to restart: none of it is refused, all of it arrives."""

import smtplib
import threading
from pathlib import Path
from typing import Self

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account, letter

ANNA = f"anna@{DOMAIN}"
GREYLISTING = {"ENABLE_POSTGREY": "1", "POSTGREY_DELAY": "1", "PERMIT_DOCKER": "none", "ENABLE_AMAVIS": "0"}
RSPAMD = {"ENABLE_RSPAMD": "1", "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0"}


class Sender(threading.Thread):
    """Somebody who sends one message after another, as mail servers do: what is answered 4xx is sent again."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.sent = 0
        self._server = server
        self._over = threading.Event()
        self._trouble: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._send(subject(self.sent))
        except OSError as error:  # smtplib's errors are such
            self._trouble = error

    def _send(self, subject: str) -> None:
        message = letter(ANNA, subject, f"outside@{DOMAIN}")
        message["Date"] = "Mon, 01 Jan 2024 12:00:00 +0000"
        try:
            with self._server.smtp(25) as smtp:
                smtp.sendmail("", [ANNA], message.as_bytes())
            self.sent += 1
        except smtplib.SMTPResponseException as error:
            if error.smtp_code // 100 != 4:
                raise
        except smtplib.SMTPRecipientsRefused as error:
            if any(code // 100 != 4 for code, _ in error.recipients.values()):
                raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        assert self._trouble is None, f"{self._trouble!r}; mail.log:\n{self._server.mail_log()}"


def subject(number: int) -> str:
    return f"message {number} of many"


@pytest.mark.parametrize(
    ("environment", "services"),
    [
        ({"ENABLE_SRS": "1"}, ("opendkim", "opendmarc", "postsrsd", "amavis", "dovecot")),
        (RSPAMD, ("rspamd",)),
        (GREYLISTING, ("postgrey",)),
    ],
    ids=["amavis", "rspamd", "postgrey"],
)
def test_nobody_is_refused_while_a_service_restarts(
    containers: Containers, tmp_path: Path, environment: dict[str, str], services: tuple[str, ...]
) -> None:
    files = {"postfix-accounts.cf": account(ANNA)}
    environment = {"PERMIT_DOCKER": "connected-networks", **environment}
    server = containers.start(files, tmp_path, environment=environment).wait_until_up()
    with Sender(server) as sender:
        for service in services:
            before = sender.sent
            while sender.is_alive() and sender.sent < before + 3:
                server.checked("dmsctl", "restart", service)
    for number in range(sender.sent):
        server.receive(ANNA, subject(number))
    log = server.mail_log()
    assert "refused" not in log, log
    server.remove()
