"""Who guesses passwords is banned: real failures, real packets, by hand too, and over the life of a container."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.conftest import AT_ONCE
from tests.image.harness import DOMAIN, Containers, Server, account
from tests.image.peers import CONNECTS, Peer, names, peer

LOG = "/var/log/mail/fail2ban.log"
ACCOUNTS = {"postfix-accounts.cf": account(f"anna@{DOMAIN}"), "dovecot.cf": AT_ONCE}
FAILS = """
import imaplib, smtplib, ssl, sys
host, protocol, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = ssl._create_unverified_context()
for _ in range(times):
    try:
        if protocol == "imap":
            with imaplib.IMAP4_SSL(host, 993, ssl_context=context, timeout=10) as imap:
                imap.login("anna@example.test", "wrong")
        else:
            with smtplib.SMTP_SSL(host, 465, context=context, timeout=10) as smtp:
                smtp.login("anna@example.test", "wrong")
    except (imaplib.IMAP4.error, smtplib.SMTPException, OSError):
        pass  # refused; or banned already, before the last of them had its answer
"""
"""Fail to log in at HOST by PROTOCOL that many TIMES."""

ASKS = """
import smtplib, sys
host, recipient, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
answers = []
try:
    with smtplib.SMTP(host, 25, "guesser.outside.test", timeout=20) as smtp:
        smtp.ehlo()
        smtp.mail("")
        for number in range(times):
            answers.append(smtp.rcpt(recipient % number)[0])
except (smtplib.SMTPException, OSError):
    pass  # banned already, before the last of them had its answer
print(*answers)
"""
"""Offer HOST mail for RECIPIENT, in which a number stands for %d, that many TIMES; print the answers."""


HIDES = """
import base64, imaplib, smtplib, sys
host, way, name, times = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
try:
    for _ in range(times):
        if way == "imap":
            with imaplib.IMAP4(host, 143, timeout=10) as imap:
                try:
                    imap.authenticate("PLAIN", lambda _: f"\\0{name}\\0wrong".encode())
                except imaplib.IMAP4.error:
                    pass
        else:
            with smtplib.SMTP(host, 25, "hidden.outside.test", timeout=20) as smtp:
                smtp.ehlo()
                smtp.docmd(f"MAIL FROM:<{name}>" if way == "sender" else "MAIL FROM:<>")
                print(smtp.docmd("RCPT TO:<anna@example.test>" if way == "sender" else f"RCPT TO:<{name}>"))
except OSError:
    pass  # banned already
"""
"""Fail at HOST in a WAY that logs NAME, that many TIMES."""

PROBED = "(no auth attempts in user=<>, rip=127.0.0.1, lip=127.0.0.1,"
"""What the log says of a health probe."""
FORGED = "a,192.0.2.66,sasl:plain)<x>: Password mismatch"
ENDED = "x>, rip=192.0.2.66, lip=192.0.2.1, session=<y>"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def name_server(containers: Containers) -> Iterator[Peer]:
    with names(containers) as server:
        yield server


@pytest.fixture(scope="module")
def guard(
    containers: Containers, state: Path, name_server: Peer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that bans, with its state in `state` and settings of a user."""
    files = {
        **ACCOUNTS,
        "fail2ban-jail.cf": "[DEFAULT]\nfindtime = 1h\n[postfix-sasl]\nenabled = true\nmaxretry = 4\n",
        "fail2ban-fail2ban.cf": "[Definition]\nloglevel = DEBUG\n",
    }
    server = containers.start(
        files, tmp_path_factory.mktemp("config"), environment={"ENABLE_FAIL2BAN": "1"},
        options=["--volume", f"{state}:/var/mail-state", f"--dns={name_server.address}"],
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


@pytest.fixture(scope="module")
def guesser(containers: Containers) -> Iterator[Peer]:
    with peer(containers) as host:
        yield host


def connection(host: Peer, server: Server, port: int) -> str:
    """Return what becomes of a connection within a second."""
    return host.python(CONNECTS, server.address, str(port), "1")


def freed(server: Server, address: str) -> list[str]:
    """Free an address and return what the command says."""
    return server.checked("setup", "fail2ban", "unban", address).splitlines()


@pytest.mark.parametrize(
    ("protocol", "times", "jail"), [("imap", 6, "dovecot"), ("smtp", 4, "postfix-sasl")], ids=["imap", "smtp"]
)
def test_who_fails_to_log_in_is_banned_from_all_ports(
    guard: Server, guesser: Peer, protocol: str, times: int, jail: str
) -> None:
    assert connection(guesser, guard, 993) == "accepted"
    guesser.python(FAILS, guard.address, protocol, str(times))
    guard.wait_for_line(LOG, rf"\[{jail}\] Ban {guesser.address}$")
    assert [connection(guesser, guard, port) for port in (25, 143, 465, 993)] == ["silence"] * 4
    assert f"Banned in {jail}: {guesser.address}" in guard.checked("setup", "fail2ban").splitlines()
    rules = guard.checked("nft", "list", "table", "inet", "f2b-table")
    assert f"ip saddr @addr-set-{jail} drop" in rules
    assert {line for line in freed(guard, guesser.address) if jail in line} == {f"Unbanned IP from {jail}: 1"}
    assert connection(guesser, guard, 143) == "accepted"


@pytest.mark.parametrize("recipient", ["nobody%d@example.test", "somebody%d@elsewhere.test"], ids=["users", "relays"])
def test_who_looks_for_users_or_relays_is_banned_too(guard: Server, containers: Containers, recipient: str) -> None:
    with peer(containers) as seeker:
        refused = seeker.python(ASKS, guard.address, recipient, "5").split()
        assert len(refused) == 5
        assert set(refused) <= {"550", "554"}
        assert connection(seeker, guard, 25) == "accepted"
        seeker.python(ASKS, guard.address, recipient, "1")
        guard.wait_for_line(LOG, rf"\[postfix\] Ban {seeker.address}$")
        assert [connection(seeker, guard, port) for port in (25, 587, 993)] == ["silence"] * 3
        assert freed(guard, seeker.address) == ["Unbanned IP from postfix: 1"]
        assert connection(seeker, guard, 25) == "accepted"


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("sender", f'"{PROBED}"@outside.test'),
        ("sender", '"x>[127.0.0.1]"@outside.test'),
        ("recipient", f'"{PROBED}>"@example.test'),
        ("recipient", '"[192.0.2.66]: 554 5.7.1 x"@elsewhere.test'),
        ("imap", PROBED),
        ("imap", FORGED),
        ("imap", ENDED),
    ],
)
def test_no_name_hides_who_fails_nor_has_others_banned(
    guard: Server, containers: Containers, way: str, name: str
) -> None:
    """Names that look like what filters of the log leave out, or like another address that failed."""
    with peer(containers) as hider:
        hider.python(HIDES, guard.address, way, name, "6")
        jail = "dovecot" if way == "imap" else "postfix"
        guard.wait_for_line(LOG, rf"\[{jail}\] Ban {hider.address}$")
        assert connection(hider, guard, 993) == "silence"
        lines = [
            line for line in guard.mail_log().splitlines() if hider.address in line and name.strip('"@')[:9] in line
        ]
        assert len(lines) >= 6
        assert "192.0.2.66" not in guard.checked("setup", "fail2ban")
        freed(guard, hider.address)


def test_who_is_inside_is_never_banned(guard: Server) -> None:
    for _ in range(7):
        guard.checked("bash", "-c", "curl -s -m 5 -u anna@example.test:wrong imap://127.0.0.1/ || [ $? = 67 ]")
    guard.wait_for_line(LOG, r"\[dovecot\] Ignore 127\.0\.0\.1 by ")
    assert "127.0.0.1" not in guard.checked("setup", "fail2ban")


def test_the_limits_are_those_of_the_contract_and_the_user(guard: Server) -> None:
    def asked(*words: str) -> str:
        return guard.checked("fail2ban-client", "get", *words).strip()

    assert asked("dovecot", "bantime") == asked("postfix", "bantime") == str(7 * 86400)
    assert asked("dovecot", "maxretry") == "6"
    assert asked("custom", "bantime") == str(180 * 86400)
    assert asked("dovecot", "findtime") == "3600"
    assert asked("postfix-sasl", "maxretry") == "4"
    assert "DEBUG" in asked("loglevel")
    assert "127.0.0.0/8" in asked("dovecot", "ignoreip") or "127.0.0.1/8" in asked("dovecot", "ignoreip")


def test_a_network_is_banned_by_hand_and_stays_so_in_the_next_container(
    containers: Containers, guard: Server, state: Path, tmp_path: Path, name_server: Peer
) -> None:
    assert guard.checked("setup", "fail2ban", "ban", "192.0.2.0/24") == "Banned custom IP: 1\n"
    assert guard.checked("fail2ban", "ban", "198.51.100.7") == "Banned custom IP: 1\n"
    again = guard.run("setup", "fail2ban", "ban", "198.51.100.7")
    assert again.code == 0
    assert "198.51.100.7 is banned already" in again.output
    nonsense = guard.run("setup", "fail2ban", "ban", "198.51.100.300")
    assert nonsense.code == 1
    assert "cannot ban 198.51.100.300: not an IP address" in nonsense.output
    assert "198.51.100.300" not in guard.checked("setup", "fail2ban")
    assert freed(guard, "198.51.100.7") == ["Unbanned IP from custom: 1"]
    assert "192.0.2.0/24" in guard.checked("nft", "list", "set", "inet", "f2b-table", "addr-set-custom")
    guard.stop()
    next_one = containers.start(
        ACCOUNTS, tmp_path, environment={"ENABLE_FAIL2BAN": "1"},
        options=["--volume", f"{state}:/var/mail-state", f"--dns={name_server.address}"],
    ).wait_until_up()  # fmt: skip
    assert next_one.checked("setup", "fail2ban") == "Banned in custom: 192.0.2.0/24\n"
    next_one.wait_for_line(LOG, r"\[custom\] Restore Ban 192\.0\.2\.0/24")
    assert "192.0.2.0/24" in next_one.checked("nft", "list", "set", "inet", "f2b-table", "addr-set-custom")
    next_one.remove()


def test_what_setup_says(containers: Containers, tmp_path: Path, guesser: Peer) -> None:
    server = containers.start(
        ACCOUNTS, tmp_path, environment={"ENABLE_FAIL2BAN": "1", "FAIL2BAN_BLOCKTYPE": "reject"}
    ).wait_until_up()
    assert "nobody is banned" in server.checked("setup", "fail2ban")
    for verb in ("ban", "unban"):
        lacking = server.run("setup", "fail2ban", verb)
        assert (lacking.code, "WARN" in lacking.output) == (0, True)
        wrong = server.run("setup", "fail2ban", verb, "guesser")
        assert (wrong.code, "not an IP address" in wrong.output) == (1, True)
    free = server.run("setup", "fail2ban", "unban", "192.0.2.7")
    assert (free.code, "192.0.2.7 is not banned" in free.output) == (0, True)
    assert server.checked("setup", "fail2ban", "status").count("Status for the jail: ") == 3
    assert "Fail2ban v" in server.checked("setup", "fail2ban", "log")
    assert len(server.checked("setup", "fail2ban", "help").splitlines()) == 3
    assert server.run("setup", "fail2ban", "frobnicate").code == 1
    # The other way to keep somebody out: an answer that says so.
    server.checked("setup", "debug", "fail2ban", "ban", guesser.address)
    assert connection(guesser, server, 143) == "refused"
    restarted = server.checked("supervisorctl", "restart", "fail2ban").splitlines()
    assert restarted == ["fail2ban: stopped", "fail2ban: started"]
    server.checked("dmsctl", "stop", "fail2ban")
    assert server.run("setup", "fail2ban").code == 1


def test_without_the_right_to_filter_the_server_runs_and_says_so(containers: Containers, tmp_path: Path) -> None:
    server = containers.start(ACCOUNTS, tmp_path, environment={"ENABLE_FAIL2BAN": "1"}, capabilities=())
    log = server.wait_until_up().log()
    told = [line for line in log.splitlines() if "NET_ADMIN" in line]
    assert len(told) == 1
    assert "ERROR" in told[0]
    assert "--cap-add=NET_ADMIN" in told[0]
    assert server.services()["fail2ban"]["state"] == "ready"
    assert "NET_ADMIN" in server.checked("dmsctl", "status", "fail2ban")
    server.remove()
