"""Many TLS sessions at a time: as many as an office has, and more than Dovecot's limits allow."""

import smtplib
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

    def tell(self, command: str) -> None:
        """Send a command, and do not wait for what becomes of it."""
        self._socket.sendall(f"{'t ' if self._imap else ''}{command}\r\n".encode())

    def ask(self, command: str) -> str:
        """Return the answer to a command: "OK …", "NO …" or for POP3 "+OK …"; "" when the connection is closed."""
        self.tell(command)
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


def submitting(server: Server, number: int, cleanup: ExitStack) -> smtplib.SMTP:
    """Log in at 587 and stay."""
    smtp = smtplib.SMTP(server.address, 587, "client.example.test", timeout=PATIENCE_SECONDS)
    cleanup.callback(smtp.close)
    smtp.starttls(context=CONTEXT)
    smtp.login(user(number), PASSWORD)
    return smtp


def test_an_office_of_three_hundred_submits_from_one_address(start: Start, cleanup: ExitStack) -> None:
    """Their connections stay open, and are in nobody's way: not on 465, 25, nor in the queue."""
    files = {"postfix-accounts.cf": accounts(), "services/postfix.toml": IMPATIENT}
    server = start(files, environment={"ENABLE_AMAVIS": "0", "PERMIT_DOCKER": "none"}).wait_until_up()
    before = server.pids()["postfix"]
    with ThreadPoolExecutor(8) as pool:
        sessions = list(pool.map(lambda number: submitting(server, number, cleanup), range(300)))
    with smtplib.SMTP_SSL(server.address, 465, timeout=PATIENCE_SECONDS, context=CONTEXT) as other:
        other.login(user(1), PASSWORD)
    with server.smtp(25) as other:
        assert other.noop()[0] == 250
    sessions[-1].sendmail(user(0), [user(1)], "Subject: still there\r\n\r\nx\r\n")
    assert {session.noop()[0] for session in sessions} == {250}
    postfix = server.services()["postfix"]
    assert (postfix["state"], postfix["restarts"], postfix["pid"]) == ("ready", 0, before)
    # One address does not take all that there is: others still get in.
    for number in range(50):
        submitting(server, number, cleanup)
    with pytest.raises(smtplib.SMTPResponseException) as refusal:
        submitting(server, 0, cleanup)
    assert refusal.value.smtp_code == 421
    server.wait_for_line("/var/log/mail/mail.log", "Connection concurrency limit exceeded: 351")


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


STRICT: Final = '[health]\ninterval = "1s"\ntimeout = "500ms"\nfailures = 2\n'
SLOW_HASH: Final = (
    "{SHA512-CRYPT}$6$rounds=1500000$.fwkAn64x"
    "VGXUWp7$Pz9dBV6vRBZNlRwxx5pDTVpf2dObCnPO8d.QM.VqRW5eRp4GqDbURCVGZv6ugvYE9YcUS/G8J5csjE69eo/KG1"
)
"""Of PASSWORD; 1,500,000 rounds keep a processor at work for about a second, where 5,000 are usual."""


def unchanged(server: Server, pid: int | None) -> bool:
    """Return whether Dovecot is the one that was started first, and was never called unhealthy."""
    dovecot = server.services()["dovecot"]
    assert "dovecot is unhealthy" not in server.log()
    return (dovecot["restarts"], dovecot["pid"]) == (0, pid)


def test_with_more_logins_than_it_can_check_dovecot_is_busy_and_sessions_go_on(
    start: Start, cleanup: ExitStack
) -> None:
    """The process that checks passwords has more to do than it can."""
    slow = "".join(f"slow{number}@{DOMAIN}|{SLOW_HASH}\n" for number in range(20))
    files = {
        "postfix-accounts.cf": accounts() + slow,
        "dovecot.cf": "mail_max_userip_connections = 1000\n",
        "services/dovecot.toml": STRICT,
    }
    server = start(files, environment={"ENABLE_AMAVIS": "0"}).wait_until_up()
    before = server.pids()["dovecot"]
    sessions = opened(server, range(5), cleanup)
    assert {session.said[:2] for session in sessions} == {"OK"}
    clients = [Session(server.address, number, login=False) for number in range(20)]
    for number, client in enumerate(clients):
        cleanup.callback(client.close)
        client.tell(f"LOGIN slow{number}@{DOMAIN} {PASSWORD}")
    server.until("dmsctl events | grep -q 'dovecot: .* → busy'")
    assert {session.ask("NOOP")[:2] for session in sessions} == {"OK"}
    assert server.run("dmsctl", "health").code == 0
    while server.services()["dovecot"]["state"] != "ready":
        pass
    assert {session.ask("NOOP")[:2] for session in sessions} == {"OK"}
    assert unchanged(server, before)


HOLD: Final = """
import socket, sys
held = []
for number in range(int(sys.argv[1])):
    client = socket.socket(socket.AF_UNIX)
    client.connect("/run/dovecot/lmtp")
    held.append(client)
for client in held[:2]:
    assert client.recv(1000).startswith(b"220")
open("/tmp/held", "w").close()
sys.stdin.read()
"""


def test_with_all_deliveries_taken_mail_waits_and_dovecot_is_ready(start: Start) -> None:
    """Without IMAP, LMTP is all that Dovecot has to do."""
    files = {
        "postfix-accounts.cf": accounts(),
        "dovecot.cf": "service lmtp {\n  process_limit = 2\n}\n",
        "services/dovecot.toml": STRICT,
    }
    server = start(files, environment={"ENABLE_AMAVIS": "0", "ENABLE_IMAP": "0"}).wait_until_up()
    before = server.pids()["dovecot"]
    assert "imap" not in server.checked("doveconf", "-h", "protocols")
    server.run("tee", "/tmp/hold.py", stdin=HOLD)
    server.checked(
        "bash", "-c", "(sleep infinity | python3 /tmp/hold.py 4) > /tmp/hold.log 2>&1 & echo $! > /tmp/hold.pid"
    )
    server.until("test -e /tmp/held")
    server.send(user(1), "waiting")
    seen = server.run("timeout", "5", "dmsctl", "events", "--follow", "--lines", "0").output
    assert "dovecot" not in seen  # in the time of five probes
    assert server.run("grep", "-rq", "Subject: waiting", "/var/mail").code == 1
    server.checked("pkill", "-f", "/tmp/hold.py")  # of this container only
    server.until("postqueue -f; grep -rq 'Subject: waiting' /var/mail")
    assert server.services()["dovecot"]["state"] == "ready"
    assert unchanged(server, before)
