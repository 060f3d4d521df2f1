"""Accounts and aliases that change while the server runs: live within moments, and no daemon is restarted."""

import imaplib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.image.harness import DOMAIN, PASSWORD, PATIENCE_SECONDS, Server

ANNA = f"anna@{DOMAIN}"
APPLIED = "configuration applied"


def log_in(server: Server, user: str, password: str) -> bool:
    try:
        with server.imap(user, password):
            return True
    except imaplib.IMAP4.error:
        return False


@contextmanager
def applied(server: Server) -> Iterator[None]:
    """Wait, after what the caller does, until the server says that it took the change over."""
    before = server.log().count(APPLIED)
    yield
    server.wait_for_log(APPLIED, before + 1)


def wait_until(holds: Callable[[], bool]) -> None:
    """Ask again and again: Dovecot looks at its password file once a second, and nothing tells when it did."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline


def test_accounts_change_live_and_no_daemon_restarts(live_server: Server) -> None:
    pids = live_server.pids()
    user = f"new@{DOMAIN}"
    with applied(live_server):
        live_server.checked("setup", "email", "add", user, "first password")
    wait_until(lambda: log_in(live_server, user, "first password"))
    live_server.send(user, "welcome", port=587, login=ANNA)
    with applied(live_server):
        live_server.checked("setup", "email", "update", user, "other password")  # of the same length on purpose
    wait_until(lambda: log_in(live_server, user, "other password"))
    assert not log_in(live_server, user, "first password")
    with applied(live_server):
        live_server.checked("setup", "email", "del", "-y", user)
    wait_until(lambda: not log_in(live_server, user, "other password"))
    assert live_server.run("test", "-e", f"/var/mail/{DOMAIN}/new").code == 1
    assert live_server.pids() == pids


def test_a_changed_account_repairs_the_owners_of_mailboxes(live_server: Server) -> None:
    directory, user = f"/var/mail/{DOMAIN}", f"moved@{DOMAIN}"
    live_server.checked("chown", "root:root", directory)
    with applied(live_server):
        live_server.checked("setup", "email", "add", user, PASSWORD)
    assert live_server.checked("stat", "--format=%U:%G", directory) == "docker:docker\n"
    with applied(live_server):
        live_server.checked("setup", "email", "del", "-y", user)


def test_aliases_change_live(live_server: Server) -> None:
    pids = live_server.pids()
    alias = f"info@{DOMAIN}"
    with applied(live_server):
        live_server.checked("setup", "alias", "add", alias, ANNA)
    assert f"* {alias} {ANNA}" in live_server.checked("setup", "alias", "list")
    live_server.send(alias, "to the alias", port=587, login=ANNA)
    assert live_server.receive(ANNA, "to the alias")["To"] == alias
    with applied(live_server):
        live_server.checked("setup", "alias", "del", alias, ANNA)
    wait_until(lambda: live_server.run("doveadm", "user", alias).code != 0)
    live_server.send(alias, "to nobody", port=587, login=ANNA)
    assert f"<{alias}>" in live_server.receive(ANNA, "Undelivered Mail Returned to Sender").as_string()
    assert live_server.pids() == pids


@pytest.mark.parametrize("direction", ["send", "receive"])
def test_who_is_restricted_is_refused_from_the_moment_when_setup_returns(live_server: Server, direction: str) -> None:
    for action, code in (("add", 554), ("del", 250)):
        live_server.checked("setup", "email", "restrict", action, direction, ANNA)
        with live_server.smtp(465, login=ANNA) as smtp:
            smtp.mail(ANNA)
            assert smtp.rcpt(ANNA)[0] == code
    with applied(live_server):
        (live_server.config / f"postfix-{direction}-access.cf").unlink()


def test_a_change_by_hand_is_noticed(live_server: Server) -> None:
    virtual = live_server.config / "postfix-virtual.cf"
    with applied(live_server):
        virtual.write_text(f"by-hand@{DOMAIN} {ANNA}\n")
    live_server.send(f"by-hand@{DOMAIN}", "by hand", port=587, login=ANNA)
    assert live_server.receive(ANNA, "by hand")["To"] == f"by-hand@{DOMAIN}"
    with applied(live_server):
        virtual.unlink()


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
