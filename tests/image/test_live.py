"""Accounts and aliases that change while the server runs: live within moments, and no daemon is restarted."""

import imaplib
import time

import pytest

from tests.image.harness import DOMAIN, PASSWORD, Server

ANNA = f"anna@{DOMAIN}"
LIVE_SECONDS = 10
"""Far above the second that the product promises: two busy cores must not fail a test."""


def log_in(server: Server, user: str, password: str) -> bool:
    try:
        with server.imap(user, password):
            return True
    except imaplib.IMAP4.error:
        return False


def wait_for_login(server: Server, user: str, password: str, expected: bool) -> None:
    deadline = time.monotonic() + LIVE_SECONDS
    while log_in(server, user, password) is not expected:
        assert time.monotonic() < deadline, f"{user} can{' still' if not expected else 'not'} log in"


def test_accounts_change_live_and_no_daemon_restarts(live_server: Server) -> None:
    pids = live_server.pids()
    user = f"new@{DOMAIN}"
    live_server.checked("setup", "email", "add", user, "first password")
    wait_for_login(live_server, user, "first password", True)
    live_server.send(user, "welcome", port=587, login=ANNA)
    with live_server.imap(user, "first password") as imap:
        imap.select()
    live_server.checked("setup", "email", "update", user, "second password")
    wait_for_login(live_server, user, "second password", True)
    assert not log_in(live_server, user, "first password")
    live_server.checked("setup", "email", "del", "-y", user)
    wait_for_login(live_server, user, "second password", False)
    assert live_server.pids() == pids


def test_aliases_change_live(live_server: Server) -> None:
    pids = live_server.pids()
    live_server.checked("setup", "alias", "add", f"info@{DOMAIN}", ANNA)
    assert f"* info@{DOMAIN} {ANNA}" in live_server.checked("setup", "alias", "list")
    wait_for_recipient(live_server, f"info@{DOMAIN}", 250)
    live_server.send(f"info@{DOMAIN}", "to the alias", port=587, login=ANNA)
    assert live_server.receive(ANNA, "to the alias")["To"] == f"info@{DOMAIN}"
    live_server.checked("setup", "alias", "del", f"info@{DOMAIN}", ANNA)
    wait_for_recipient(live_server, f"info@{DOMAIN}", 550)
    assert live_server.pids() == pids


def wait_for_recipient(server: Server, address: str, expected: int) -> None:
    """Ask from inside, where postscreen lets in at once, until RCPT is answered with `expected`."""
    script = (
        "import smtplib, sys\n"
        "with smtplib.SMTP('127.0.0.1', 25, 'localhost.example.test') as s:\n"
        "    s.ehlo(); s.mail(''); print(s.rcpt(sys.argv[1])[0])"
    )
    deadline = time.monotonic() + LIVE_SECONDS
    while int(server.checked("python3", "-c", script, address)) != expected:
        assert time.monotonic() < deadline


def test_a_mistake_made_live_is_told_and_changes_nothing(live_server: Server) -> None:
    pids = live_server.pids()
    accounts = live_server.config / "postfix-accounts.cf"
    good = accounts.read_text()
    accounts.write_text(good + "nonsense without a separator\n")
    live_server.wait_for_log(f"postfix-accounts.cf:{good.count(chr(10)) + 1}")
    assert log_in(live_server, ANNA, PASSWORD)
    accounts.write_text(good)
    assert live_server.pids() == pids


@pytest.mark.parametrize("address", [ANNA, "no-domain"])
def test_setup_refuses_what_makes_no_sense(live_server: Server, address: str) -> None:
    before = (live_server.config / "postfix-accounts.cf").read_text()
    result = live_server.run("setup", "email", "add", address, "secret-word")
    assert result.code == 1
    assert address in result.output
    assert "secret-word" not in result.output
    assert (live_server.config / "postfix-accounts.cf").read_text() == before
