"""Many TLS sessions at a time: as many as an office has, and more than Dovecot's limits allow."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, PATIENCE_SECONDS, Server, untrusting

PASSWORD: Final = "x"
ACCOUNTS: Final = 10
"""The password is stored as it is: that hashes take time is no concern of these tests."""
IMPATIENT: Final = '[health]\ninterval = "3s"\n'


CONTEXT: Final = untrusting()
"""One for all: making it reads the certificates of all authorities, which takes longer than a login."""


def user(number: int) -> str:
    return f"user{number % ACCOUNTS}@{DOMAIN}"


def accounts() -> str:
    return "".join(f"{user(number)}|{{PLAIN}}{PASSWORD}\n" for number in range(ACCOUNTS))


class Session:
    """A client over TLS (993 or 995), as small as it gets; `said` is the answer to its login, if it logs in."""

    def __init__(self, address: str, number: int, port: int = 993, *, login: bool = True) -> None:
        plain = socket.create_connection((address, port), timeout=PATIENCE_SECONDS)
        self._imap = port == 993
        try:
            self._socket: ssl.SSLSocket = CONTEXT.wrap_socket(plain)
        except OSError:
            plain.close()
            raise
        self._lines = self._socket.makefile("rb")
        self.said = self._lines.readline().decode()
        if not login:
            return
        if self._imap:
            self.said = self.ask(f"LOGIN {user(number)} {PASSWORD}")
        else:
            self.ask(f"USER {user(number)}")
            self.said = self.ask(f"PASS {PASSWORD}")

    def ask(self, command: str) -> str:
        """Return the answer to a command: "OK …", "NO …" or for POP3 "+OK …"; "" when the connection is closed."""
        self._socket.sendall(f"{'t ' if self._imap else ''}{command}\r\n".encode())
        while (line := self._lines.readline()) and self._imap and not line.startswith(b"t "):
            pass
        return line.decode().removeprefix("t ")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def opened(server: Server, numbers: range, cleanup: ExitStack, port: int = 993, *, login: bool = True) -> list[Session]:
    """Connect, and log in, that often, eight at a time."""

    def one(number: int) -> Session:
        return Session(server.address, number, port, login=login)

    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(one, numbers))
    for session in sessions:
        cleanup.callback(session.close)
    return sessions


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_thousand_tls_sessions_and_none_of_them_keeps_the_health_probe_waiting(
    start: Start, cleanup: ExitStack
) -> None:
    files = {
        "postfix-accounts.cf": accounts(),
        "dovecot.cf": "mail_max_userip_connections = 1000\n",
        "services/dovecot.toml": IMPATIENT,
    }
    server = start(files, environment={"ENABLE_AMAVIS": "0", "ENABLE_POP3": "1"}).wait_until_up()
    before = server.pids()["dovecot"]
    # What counts is TLS: a session that is not logged in yet occupies as much of a login process as any other.
    waiting = opened(server, range(700), cleanup, login=False)
    sessions = opened(server, range(300), cleanup)
    assert {session.said[:2] for session in sessions} == {"OK"}
    others = opened(server, range(ACCOUNTS), cleanup, port=995)
    assert {session.said[:3] for session in others} == {"+OK"}
    assert {session.ask("NOOP")[:2] for session in [*waiting, *sessions]} == {"OK"}
    # Nobody who is logged in is disconnected by a new configuration either, nor by the probes. Not `doveadm reload`: it
    # returns before Dovecot has exchanged its processes, and a login in those milliseconds fails in Dovecot itself.
    server.checked("dmsctl", "reload", "dovecot")
    later = opened(server, range(10), cleanup)
    assert {session.said[:2] for session in later} == {"OK"}
    assert {session.ask("NOOP")[:2] for session in [*sessions, *later]} == {"OK"}
    dovecot = server.services()["dovecot"]
    assert (dovecot["state"], dovecot["restarts"], dovecot["pid"]) == ("ready", 0, before)
    assert "dovecot is unhealthy" not in server.log()


LIMITED: Final = """
mail_max_userip_connections = 1000
service imap-login {
  client_limit = 5
  process_limit = 2
}
"""


def test_who_comes_beyond_the_limit_is_refused_and_nobody_else(start: Start, cleanup: ExitStack) -> None:
    files = {"postfix-accounts.cf": accounts(), "dovecot.cf": LIMITED, "services/dovecot.toml": IMPATIENT}
    server = start(files, environment={"ENABLE_AMAVIS": "0"}).wait_until_up()
    before = server.pids()["dovecot"]
    sessions = opened(server, range(10), cleanup)
    with pytest.raises(OSError, match="reset|EOF|closed"):
        Session(server.address, 10)
    server.wait_for_line("/var/log/mail/mail.log", r"service\(imap-login\): process_limit \(2\) reached")
    assert {session.ask("NOOP")[:2] for session in sessions} == {"OK"}
    dovecot = server.services()["dovecot"]
    assert (dovecot["state"], dovecot["restarts"], dovecot["pid"]) == ("ready", 0, before)
    assert "dovecot is unhealthy" not in server.log()
    for session in sessions:
        session.close()
    assert opened(server, range(1), cleanup)[0].said.startswith("OK")
