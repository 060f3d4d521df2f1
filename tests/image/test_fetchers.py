"""fetchmail and getmail fetch from another server of ours, and know after a recreation what they have fetched."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.image.harness import DOMAIN, PASSWORD, PATIENCE_SECONDS, Containers, Server, account
from tests.image.peers import peer

ANNA, BOB, CARLA, DORA = USERS = tuple(f"{name}@{DOMAIN}" for name in ("anna", "bob", "carla", "dora"))
THERE: Final = {user: user.replace(DOMAIN, "remote.test") for user in USERS}
AT_ONCE: Final = {"postfix-main.cf": "postscreen_greet_wait = 1s\n"}
QUICK: Final = {"ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0", "FETCHMAIL_POLL": "1"}
FETCHING: Final = {**QUICK, "ENABLE_FETCHMAIL": "1", "ENABLE_GETMAIL": "1"}


@pytest.fixture(scope="module")
def remote(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Have a server that offers the mail of all users by IMAP and POP3."""
    files = {**AT_ONCE, "postfix-accounts.cf": "".join(account(user) for user in THERE.values())}
    environment = {**QUICK, "ENABLE_POP3": "1"}
    config = tmp_path_factory.mktemp("remote")
    server = containers.start(files, config, environment=environment, hostname="mail.remote.test")
    yield server.wait_until_up()
    server.remove()


def imap_entry(remote: Server) -> str:
    return (
        f"poll {remote.address} proto imap\n"
        f'    user "{THERE[ANNA]}" there with password "{PASSWORD}" is {ANNA} here ssl no sslcertck\n'
    )


def pop3_entry(remote: Server, reader: str) -> str:
    user = f'user "{THERE[reader]}" there with password "{PASSWORD}" is {reader} here'
    return f"poll {remote.address} proto pop3 {user} keep ssl no sslcertck\n"


def rc(server: str, user: str = THERE[CARLA], kind: str = "SimpleIMAPSSLRetriever") -> str:
    return f"[retriever]\ntype = {kind}\nserver = {server}\nusername = {user}\npassword = {PASSWORD}\n"


def files(remote: Server) -> Mapping[str, str]:
    entries = f"{imap_entry(remote)}# kept there\n{pop3_entry(remote, BOB)}{pop3_entry(remote, DORA)}"
    return {
        **AT_ONCE,
        "postfix-accounts.cf": "".join(account(user) for user in USERS),
        "fetchmail.cf": f"set no bouncemail\n{entries}",
        f"getmail/{CARLA}.cf": rc(remote.address),
    }


def subjects(server: Server, user: str) -> list[str]:
    """Return the subjects of all messages in an inbox."""
    with server.imap(user) as imap:
        imap.select()
        _, parts = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].decode().partition(": ")[2].strip() for part in parts if isinstance(part, tuple)]


def send_to_all(remote: Server, subject: str) -> None:
    """Have a message for everybody in the mailboxes there, unread: fetchmail leaves alone what somebody has seen."""
    for user in THERE.values():
        message = remote.send(user, subject)
        stored = f"\\({user}\\).* msgid={message['Message-ID']}: stored mail"
        remote.wait_for_line("/var/log/mail/mail.log", stored)


def test_mail_is_fetched_once_by_one_container_after_the_other(
    containers: Containers, remote: Server, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    options = ("--volume", f"{tmp_path / 'state'}:/var/mail-state")
    for parallel, subject in (("0", "before"), ("1", "in parallel"), ("1", "still so"), ("0", "one for all again")):
        send_to_all(remote, subject)
        environment = {**FETCHING, "FETCHMAIL_PARALLEL": parallel}
        server = containers.start(files(remote), tmp_path / subject, environment=environment, options=options)
        try:
            server.wait_until_up()
            for user in USERS:
                server.receive(user, subject)
                assert subjects(server, user) == [subject], user
            names = {name for name, one in server.services().items() if one["state"] == "ready"}
            expected = {f"fetchmail-{number}" for number in (1, 2, 3)} if parallel == "1" else {"fetchmail"}
            assert {name for name in names if name.startswith("fetchmail")} == expected
            owners = server.checked("bash", "-c", "stat -Lc '%U:%G' /var/lib/fetchmail /var/lib/fetchmail/.f*")
            assert set(owners.split()) == {"fetchmail:nogroup"}
            server.stop()
        finally:
            server.remove()
    containers.command("bash", "-c", "rm -rf /var/mail-state/*", options=options)


@pytest.fixture(scope="module")
def server(containers: Containers, remote: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Have a server that fetches with both."""
    server = containers.start(files(remote), tmp_path_factory.mktemp("local"), environment=FETCHING)
    yield server.wait_until_up()
    server.remove()


def test_passwords_are_for_those_who_need_them(server: Server) -> None:
    paths = ("/etc/fetchmailrc", f"/etc/getmailrc.d/{CARLA}", "/etc/getmailrc.d", "/etc/getmailrc_general")
    assert server.checked("stat", "-c", "%U:%G %a", *paths).splitlines() == [
        "fetchmail:root 700", "docker:docker 600", "docker:docker 700", "root:root 600",
    ]  # fmt: skip
    assert PASSWORD not in server.checked("ps", "-eo", "args")
    assert PASSWORD not in server.checked("bash", "-c", "cat /var/log/supervisor/*; cat /var/log/mail/mail.log")
    assert PASSWORD not in server.log()


def test_a_change_is_applied_to_the_fetcher_alone(server: Server, remote: Server) -> None:
    before = server.pids()
    fetchmail_cf = server.config / "fetchmail.cf"
    fetchmail_cf.write_text(fetchmail_cf.read_text().replace(f"is {BOB} here", f"is {CARLA} here"))
    plan = server.json("dmsctl", "plan", "--json")
    assert plan["actions"] == [{"service": "fetchmail", "action": "restart"}]
    server.checked("dmsctl", "apply")
    after = server.pids()
    assert {name for name in before if before[name] != after[name]} == {"fetchmail"}
    remote.send(THERE[BOB], "for another")
    server.receive(CARLA, "for another")


def test_what_fetchmail_cannot_read_changes_nothing(server: Server) -> None:
    fetchmail_cf = server.config / "fetchmail.cf"
    good = fetchmail_cf.read_text()
    try:
        fetchmail_cf.write_text(f"{good}poll imap.hill.test user x password very secret\n")
        refused = server.run("dmsctl", "apply")
    finally:
        fetchmail_cf.write_text(good)
    assert refused.code == 1
    assert f"fetchmail.cf:{good.count(chr(10)) + 1}: fetchmail cannot read it" in refused.output
    assert "secret" not in refused.output
    assert server.services()["fetchmail"]["state"] == "ready"


def test_a_killed_fetchmail_is_back_and_a_reload_wakes_it(server: Server) -> None:
    before = server.services()["fetchmail"]
    server.checked("kill", "-KILL", str(before["pid"]))
    server.until_restarted("fetchmail", before["restarts"] + 1)
    after = server.services()["fetchmail"]
    server.checked("dmsctl", "reload", "fetchmail")
    assert server.pids()["fetchmail"] == after["pid"]


def test_setup_shows_what_fetchmail_says(server: Server) -> None:
    pid = server.pids()["fetchmail"]
    shown = server.run("setup", "debug", "fetchmail")
    assert shown.code in (0, 1), shown.output
    assert f"normal termination, status {shown.code}" in shown.output
    assert "LOGIN" in shown.output
    assert PASSWORD not in shown.output
    assert server.pids()["fetchmail"] == pid


def test_setup_shows_the_settings_of_getmail(server: Server) -> None:
    shown = server.checked("setup", "debug", "getmail")
    assert shown.partition(f"{CARLA}\n\n")[2].startswith("getmail version")
    assert f"""arguments="('-d', '{CARLA}')""" in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize("verb", ["fetchmail", "getmail"])
def test_setup_debugs_before_it_is_switched_on(containers: Containers, tmp_path: Path, verb: str) -> None:
    (tmp_path / "getmail").mkdir()
    (tmp_path / "getmail" / f"{ANNA}.cf").write_text(rc("127.0.0.9"))
    (tmp_path / "fetchmail.cf").write_text('poll imap.hill.invalid proto imap user "x" password "y" is z here\r\n')
    command = (
        f"setup debug {verb}; echo ended with $?; stat -c '%U %a' /etc/fetchmailrc /etc/getmailrc.d/* 2> /dev/null"
    )
    shown = containers.command("bash", "-c", command, config=tmp_path).output
    if verb == "fetchmail":
        assert "termination, status 11\n" in shown
        assert "ended with 11\nfetchmail 700\n" in shown
    else:
        assert f"{ANNA}\n\ngetmail version" in shown
        assert "ended with 0\ndocker 600\n" in shown


@pytest.mark.parametrize(
    ("minutes", "name", "complaint"),
    [
        ("0", f"getmail/{ANNA}.cf", "GETMAIL_POLL is not a number of minutes from 1 on"),
        ("5", "getmail/notes.txt", "there is no file getmail/NAME.cf in the config volume"),
    ],
)
def test_getmail_without_anything_to_do_says_so_once_and_rests(
    containers: Containers, tmp_path: Path, minutes: str, name: str, complaint: str
) -> None:
    content = {"postfix-accounts.cf": account(ANNA), name: rc("127.0.0.9")}
    environment = {**QUICK, "ENABLE_GETMAIL": "1", "GETMAIL_POLL": minutes}
    server = containers.start(content, tmp_path, environment=environment)
    try:
        server.wait_until_up()
        server.wait_for_line("/var/log/mail/mail.log", complaint)
        server.wait_for_log("getmail ended after")
        one = server.services()["getmail"]
        assert (one["state"], one["restarts"]) == ("exited", 0)
        assert server.mail_log().count("getmail fetches nothing") == 1
        if minutes != "0":
            (server.config / f"getmail/{ANNA}.cf").write_text(rc("127.0.0.9"))
            server.checked("dmsctl", "apply")
            assert server.services()["getmail"]["state"] == "ready"
    finally:
        server.remove()


SILENT: Final = """
import socket, pathlib, time
listener = socket.create_server(("", 143))
accepted = listener.accept()
pathlib.Path("/accepted").touch()
time.sleep(3600)
"""


def test_a_stop_ends_a_getmail_that_waits_for_a_server(containers: Containers, tmp_path: Path) -> None:
    with peer(containers, "python3", "-c", SILENT) as host:
        content = {
            "postfix-accounts.cf": account(ANNA),
            f"getmail/{ANNA}.cf": rc(host.address, kind="SimpleIMAPRetriever"),
        }
        server = containers.start(content, tmp_path, environment={**QUICK, "ENABLE_GETMAIL": "1"})
        try:
            server.wait_until_up()
            wait = "until [ -e /accepted ]; do sleep 0.1; done"
            assert host.run("timeout", str(PATIENCE_SECONDS), "sh", "-c", wait).code == 0
            assert server.run("pgrep", "-f", "getmail --getmaildir").code == 0
            server.checked("dmsctl", "stop", "getmail")
            assert server.run("pgrep", "-f", "getmail").code == 1
        finally:
            server.remove()
