"""dmsctl's queue, doctor, backup and restore, over a real queue, a real name server and real mail."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import AT_ONCE
from tests.image.harness import DOMAIN, HOSTNAME, IMAGE, Containers, Server, account, letter
from tests.image.peers import Peer, names

ANNA = f"anna@{DOMAIN}"
ADDRESS = "198.51.100.25"
FILES = {
    "postfix-accounts.cf": account(ANNA) + account(f"bob@{DOMAIN}"),
    "postfix-main.cf": "relayhost = [127.0.0.1]:9\n",  # where nobody listens: what is for others waits
    "dovecot.cf": AT_ONCE,
}


class Site:
    """The volumes of a server on this side, and where archives go."""

    def __init__(self, root: Path) -> None:
        self.config, self.mail, self.state, self.backups = (
            root / name for name in ("config", "mail", "state", "backups")
        )
        for path in (self.config, self.mail, self.state, self.backups):
            path.mkdir(parents=True, exist_ok=True)

    @property
    def options(self) -> list[str]:
        """Return the engine's options for all but the config volume."""
        pairs = ((self.mail, "/var/mail"), (self.state, "/var/mail-state"), (self.backups, "/backup"))
        return [option for pair in pairs for option in ("--volume", ":".join(map(str, pair)))]


@pytest.fixture(scope="module")
def site(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Volumes with a DKIM key."""
    site = Site(tmp_path_factory.mktemp("site"))
    made = containers.command("setup", "config", "dkim", "domain", DOMAIN, "keysize", "1024", config=site.config)
    assert made.code == 0, made.output
    return site


@pytest.fixture(scope="module")
def name_server(containers: Containers, site: Site) -> Iterator[Peer]:
    """A name server that knows everything which a mail server needs."""
    zone = (site.config / "opendkim" / "keys" / DOMAIN / "mail.txt").read_text()
    key = ",".join(re.findall(r'"([^"]*)"', zone))
    with names(
        containers,
        f"host-record={HOSTNAME},{ADDRESS}",
        f"mx-host={DOMAIN},{HOSTNAME},10",
        f"txt-record={DOMAIN},v=spf1 mx -all",
        f"txt-record=mail._domainkey.{DOMAIN},{key}",
        f"txt-record=_dmarc.{DOMAIN},v=DMARC1; p=quarantine",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def mailhost(containers: Containers, site: Site, name_server: Peer) -> Iterator[Server]:
    """A running server with volumes for all it keeps."""
    server = containers.start(
        FILES, site.config, environment={"ENABLE_AMAVIS": "0"}, options=[*site.options, f"--dns={name_server.address}"]
    )
    yield server.wait_until_up()
    server.remove()


# --- queue


def queued(server: Server) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = server.json("dmsctl", "queue", "--json")["messages"]
    return messages


def defer(server: Server, subject: str) -> str:
    """Send a message that stays in the queue, wait until it does, and return its id."""
    with server.smtp(465, login=ANNA) as smtp:
        smtp.mail(ANNA)
        smtp.rcpt("someone@far.test")
        _, answer = smtp.data(letter("someone@far.test", subject, ANNA).as_bytes())
    one = answer.decode().rpartition(" ")[2]
    wait_until_deferred(server, one)
    return one


def wait_until_deferred(server: Server, queue_id: str) -> None:
    server.wait_for_line("/var/log/mail/mail.log", f"{queue_id}: to=<someone@far.test>.*status=deferred")


def test_the_queue_is_listed_shown_and_operated_on(mailhost: Server) -> None:
    assert mailhost.checked("dmsctl", "queue").strip() == "the queue is empty"
    one = defer(mailhost, "first in the queue")
    table = mailhost.checked("dmsctl", "queue")
    assert re.search(
        rf"^{one} +deferred .* {ANNA} +someone@far\.test +connect to .*: Connection refused$", table, re.MULTILINE
    )
    headers = mailhost.checked("dmsctl", "queue", "show", one)
    assert "Subject: first in the queue" in headers
    assert "This is first" not in headers
    assert "This is first" in mailhost.checked("dmsctl", "queue", "show", one, "--body")

    assert mailhost.checked("dmsctl", "queue", "hold", one).strip() == "1 message put on hold"
    assert [message["queue_name"] for message in queued(mailhost)] == ["hold"]
    assert mailhost.checked("dmsctl", "queue", "release", one).strip() == "1 message released"
    assert mailhost.checked("dmsctl", "queue", "flush").strip() == "delivery is being tried"
    assert mailhost.checked("dmsctl", "queue", "flush", one).strip() == "delivery is being tried"
    assert mailhost.json("dmsctl", "queue", "requeue", "all", "--json")["messages"] == 1
    picked_up = r"postfix/pickup\[\d+\]: ([0-9A-F]+): uid="
    mailhost.wait_for_line("/var/log/mail/mail.log", picked_up.replace(r"\d", "[0-9]"))
    (again,) = re.findall(picked_up, mailhost.mail_log())
    wait_until_deferred(mailhost, again)
    assert mailhost.checked("dmsctl", "queue", "delete", again).strip() == "1 message deleted"
    assert queued(mailhost) == []


def test_the_queue_is_emptied_only_if_that_is_meant(mailhost: Server) -> None:
    defer(mailhost, "one of many")
    refused = mailhost.run("dmsctl", "queue", "delete", "all")
    assert (refused.code, len(queued(mailhost))) == (2, 1)
    assert mailhost.checked("dmsctl", "queue", "delete", "all", "--yes").strip() == "1 message deleted"


def test_what_is_not_in_the_queue_is_told(mailhost: Server) -> None:
    for action in ("hold", "delete", "show", "requeue"):
        result = mailhost.run("dmsctl", "queue", action, "ABCDEF0123")
        assert result.code == 1
        assert result.output == "dmsctl: no message ABCDEF0123 in the queue; it may have been delivered\n"
    assert mailhost.run("dmsctl", "queue", "delete", "../../etc").code == 1


# --- doctor


def levels(answer: dict[str, Any], *checks: str) -> set[tuple[str, str]]:
    return {(one["check"], one["level"]) for one in answer["findings"] if one["check"] in checks}


def test_the_doctor_finds_everything_right(mailhost: Server) -> None:
    result = mailhost.run("dmsctl", "doctor", "--json")
    answer = json.loads(result.output)
    assert levels(answer, "services", "ports", "config", "relaying") == {
        ("services", "ok"), ("ports", "ok"), ("config", "ok"), ("relaying", "ok"),
    }  # fmt: skip
    checks = ("resolver", "name", "reverse", "mx", "spf", "dkim", "dmarc")
    assert levels(answer, *checks) == {(check, "ok") for check in checks}, result.output
    assert {one["what"] for one in answer["findings"] if one["check"] == "certificate"} >= {
        f"is for {HOSTNAME}", "is self-signed",
    }  # fmt: skip
    assert answer["counts"]["fail"] == 0
    assert result.code == 0


def test_the_doctor_finds_what_is_wrong(containers: Containers, mailhost: Server) -> None:
    resolv = mailhost.checked("cat", "/etc/resolv.conf")
    with names(
        containers,
        f"address=/{HOSTNAME}/{ADDRESS}",
        "ptr-record=25.100.51.198.in-addr.arpa,elsewhere.isp.test",
        f"mx-host={DOMAIN},mx.elsewhere.test,10",
        f"txt-record={DOMAIN},v=spf1 ip4:192.0.2.1 -all",
        f"txt-record=mail._domainkey.{DOMAIN},v=DKIM1; p=QUJD",
    ) as wrong:
        mailhost.checked("sh", "-c", 'printf "nameserver %s\\n" "$1" > /etc/resolv.conf', "sh", wrong.address)
        result = mailhost.run("dmsctl", "doctor")
        mailhost.checked("sh", "-c", 'printf %s "$1" > /etc/resolv.conf', "sh", resolv)
    lines = {tuple(line.split()[:2]) for line in result.output.splitlines()}
    assert {("fail", "reverse"), ("fail", "mx"), ("fail", "spf"), ("fail", "dkim"), ("warn", "dmarc")} <= lines
    assert f"198.51.100.25 is elsewhere.isp.test, not {HOSTNAME}" in result.output
    assert result.code == 1


def test_the_doctor_finds_a_service_that_is_down(mailhost: Server) -> None:
    mailhost.checked("dmsctl", "stop", "dovecot")
    answer = json.loads(mailhost.run("dmsctl", "doctor", "--json").output)
    mailhost.checked("dmsctl", "start", "dovecot")
    failed = {one["what"] for one in answer["findings"] if one["level"] == "fail"}
    assert failed >= {"dovecot is stopped", "993 (IMAPS) does not answer: nobody listens"}


@pytest.mark.parametrize("network", ["--network=none", "--dns=192.0.2.1"])
def test_without_a_network_the_doctor_says_so_at_once(containers: Containers, network: str) -> None:
    options = ["--rm", "--no-healthcheck", "--hostname", HOSTNAME, network]
    result = containers.call("run", *options, IMAGE, "dmsctl", "doctor", "--json")
    answer = json.loads(result.output)
    (resolver,) = (one for one in answer["findings"] if one["check"] == "resolver")
    assert resolver["level"] == "fail"
    seconds = re.search(r"no answer within ([0-9.]+) s", resolver["what"])
    assert seconds is not None
    assert float(seconds[1]) <= 3.0
    assert levels(answer, "mx", "spf", "dkim", "dmarc") == set()
    assert result.code == 1


# --- backup and restore


def test_everything_comes_back_from_a_backup(
    containers: Containers, mailhost: Server, site: Site, tmp_path: Path
) -> None:
    mailhost.send(ANNA, "worth keeping", port=465, login=ANNA)
    mailhost.receive(ANNA, "worth keeping")
    with mailhost.imap(ANNA) as imap:
        imap.create("Archive")
        imap.select("INBOX")
        (number,) = imap.search(None, "SUBJECT", '"worth keeping"')[1][0].split()
        assert imap.copy(number.decode(), "Archive")[0] == "OK"
        imap.store(number.decode(), "+FLAGS", "\\Flagged")
    waiting = defer(mailhost, "still to be sent")
    mailhost.checked("dmsctl", "queue", "hold", waiting)

    written = mailhost.run("dmsctl", "backup", "/backup/b.tar.zst")
    assert written.code == 0
    assert written.output.startswith("/backup/b.tar.zst written: ")
    assert "left out" not in written.output
    assert mailhost.run("dmsctl", "backup", "/backup/b.tar.zst").code == 1
    assert mailhost.checked("dmsctl", "backup", "--verify", "/backup/b.tar.zst").startswith(
        "/backup/b.tar.zst verified"
    )
    manifest = mailhost.json("dmsctl", "backup", "--verify", "/backup/b.tar.zst", "--json")["manifest"]
    assert manifest["fqdn"] == HOSTNAME

    new = Site(tmp_path / "new")
    options = [*new.options, "--volume", f"{site.backups}:/from"]
    restored = containers.command("dmsctl", "restore", "/from/b.tar.zst", config=new.config, options=options)
    assert restored.code == 0, restored.output
    again = containers.start({}, new.config, environment={"ENABLE_AMAVIS": "0"}, options=new.options).wait_until_up()
    try:
        for mailbox in ("INBOX", "Archive"):
            assert again.receive(ANNA, "worth keeping", mailbox)["From"] == ANNA
        with again.imap(ANNA) as imap:
            imap.select("INBOX")
            assert imap.search(None, "FLAGGED")[1] == imap.search(None, "SUBJECT", '"worth keeping"')[1]
        (message,) = queued(again)  # its id may be another, which follows from the inode
        assert (message["queue_name"], message["sender"]) == ("hold", ANNA)
        assert "still to be sent" in again.checked("dmsctl", "queue", "show", message["queue_id"])
        assert "warning" not in again.checked("postfix", "check")
    finally:
        again.remove()
    mailhost.checked("dmsctl", "queue", "delete", "all", "--yes")


def test_nothing_is_restored_under_a_server_that_runs(containers: Containers, mailhost: Server, site: Site) -> None:
    mailhost.checked("dmsctl", "backup", "/backup/running.tar")
    inside = mailhost.run("dmsctl", "restore", "/backup/running.tar", "--force")
    assert inside.code == 1
    assert inside.output.startswith("dmsctl: cannot restore while the server runs; stop its container, then: ")
    beside = containers.command(
        "dmsctl", "restore", "/backup/running.tar", "--force", config=site.config, options=site.options
    )
    assert beside.code == 1
    assert "a server in another container runs on /var/mail-state" in beside.output


def test_without_a_server_volumes_are_backed_up_to_a_pipe(containers: Containers, mailhost: Server, site: Site) -> None:
    piped = "set -o pipefail; dmsctl backup - | dmsctl backup --verify -"
    result = containers.command("bash", "-c", piped, config=site.config, options=site.options)
    assert result.code == 0
    assert "standard input verified: " in result.output


def test_a_directory_that_is_no_volume_is_refused(containers: Containers, mailhost: Server, site: Site) -> None:
    mailhost.checked("dmsctl", "backup", "/backup/lost.tar.gz")
    result = containers.command("dmsctl", "restore", "/backup/lost.tar.gz", options=site.options[-2:])
    assert result.code == 1
    assert "/tmp/docker-mailserver is not a volume" in result.output


def test_with_rspamd_redis_and_sqlite_are_in_the_backup_and_its_keys_are_compared_with_dns(
    containers: Containers, name_server: Peer, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    server = containers.start(
        {"postfix-accounts.cf": account(ANNA)}, site.config, options=[*site.options, f"--dns={name_server.address}"],
        environment={"ENABLE_RSPAMD": "1", "ENABLE_RSPAMD_REDIS": "1", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0",
                     "ENABLE_POLICYD_SPF": "0", "ENABLE_AMAVIS": "0", "ENABLE_FAIL2BAN": "1"},
    )  # fmt: skip
    try:
        server.wait_until_up()
        server.checked("redis-cli", "set", "written-just-now", "yes")
        assert server.run("dmsctl", "backup", "/backup/b.tar").code == 0
        list_all = "tar -xf /backup/b.tar -C /root && ls /root/mail-state/lib-fail2ban /root/mail-state/lib-redis"
        names = server.checked("bash", "-c", list_all).split()
        assert "fail2ban.sqlite3" in names
        check = "sqlite3.connect('/root/mail-state/lib-fail2ban/fail2ban.sqlite3').execute('pragma integrity_check')"
        assert server.checked("python3", "-c", f"import sqlite3; print({check}.fetchone()[0])").strip() == "ok"
        server.checked("setup", "config", "dkim", "domain", DOMAIN, "keysize", "1024")
        server.checked("dmsctl", "apply")
        answer = json.loads(server.run("dmsctl", "doctor", "--json").output)
        (key,) = (one for one in answer["findings"] if one["check"] == "dkim")
        assert key["what"] == f"mail._domainkey.{DOMAIN} is not the half of the key that signs"
        assert key["remedy"].endswith("the key of Rspamd")
        server.checked("bash", "-c", "grep -q written-just-now /root/mail-state/lib-redis/*.rdb")
    finally:
        server.remove()
