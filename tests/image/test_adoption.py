"""First boot on volumes as releases of docker-mailserver left them: nothing lost, everything found."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.image.harness import CONFIG, DOMAIN, HASH, Containers, Server

ANNA = f"anna@{DOMAIN}"
SIEVE = (
    'require ["fileinto", "mailbox"];\nif header :contains "subject" "into a folder" { fileinto :create "Sorted"; }\n'
)
MESSAGE = "From: old@example.test\r\nTo: anna@example.test\r\nSubject: from before\r\n\r\nkept\r\n"

STATE_ALWAYS = ("lib-postfix", "lib-dovecot", "spool-postfix")
EVERYTHING = ("lib-amavis", "lib-clamav", "lib-fail2ban", "lib-postgrey", "lib-spamassassin")


@dataclass(frozen=True)
class Release:
    """What a release left behind: its state directories, config files, and environment."""

    name: str
    state: Sequence[str]
    config: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    home: bool = True
    """Whether a mailbox has a home beside it (since v13)."""


OLD_CONFIG = {
    "postfix-accounts.cf": f"{ANNA}|{HASH}",  # no newline at the end: v10.5 wrote one at every start
    "postfix-virtual.cf": f"sales@{DOMAIN} {ANNA}\r\n",
    "postfix-aliases.cf": "",
    "dovecot-quotas.cf": f"{ANNA}:5M\n",
    "postfix-master.cf": "smtps/inet/smtpd_hard_error_limit=7\n",
    "opendkim/KeyTable": "",
}
RELEASES = (
    Release("v10.5", (*STATE_ALWAYS, *EVERYTHING), OLD_CONFIG, {"ONE_DIR": "1", "ENABLE_LDAP": "0"}, home=False),
    Release(
        "v12",
        (*STATE_ALWAYS, "lib-logrotate", "lib-rspamd", "lib-redis", "lib-fetchmail"),
        OLD_CONFIG,
        {"ONE_DIR": "1", "ENABLE_FETCHMAIL": "1"},
        home=False,
    ),
    Release(
        "v13",
        (*STATE_ALWAYS, "lib-logrotate", "lib-getmail", "lib-mta-sts"),
        OLD_CONFIG,
        {"ONE_DIR": "1", "ENABLE_GETMAIL": "1"},
    ),
    Release("v14", (*STATE_ALWAYS, "lib-logrotate"), OLD_CONFIG, {"ENABLE_POSTGREY": "1"}),
    Release("v15", (*STATE_ALWAYS, "lib-logrotate", "lib-fail2ban"), OLD_CONFIG, {"ENABLE_FAIL2BAN": "1"}),
)


@dataclass
class Volumes:
    """The mounts of one server, below a directory of this side."""

    base: Path

    def options(self) -> list[str]:
        places = {"mail": "/var/mail", "state": "/var/mail-state", "logs": "/var/log/mail"}
        for name in places:
            (self.base / name).mkdir(exist_ok=True)
        return [option for name, place in places.items() for option in ("--volume", f"{self.base / name}:{place}")]


def lay_out(volumes: Volumes, release: Release) -> None:
    """Write what the release left, all with ids that its image had and ours has not."""
    volumes.options()
    state, mailbox = volumes.base / "state", volumes.base / "mail" / DOMAIN / "anna"
    for name in release.state:
        (state / name).mkdir()
        (state / name / "kept").write_text(release.name)
    for leftover in ("dev", "etc", "usr"):
        (state / "spool-postfix" / leftover).mkdir()
    (state / "spool-postfix" / "private").mkdir()
    (state / "spool-postfix" / "private" / "auth").write_text("")
    for folder in ("cur", "new", "tmp", ".Junk/cur", ".Junk/new", ".Junk/tmp"):
        (mailbox / folder).mkdir(parents=True)
    (mailbox / "cur" / f"1700000000.M1P1.mail,S={len(MESSAGE)}:2,S").write_bytes(MESSAGE.encode())
    home = mailbox / "home" if release.home else mailbox
    (home / "sieve").mkdir(parents=True)
    (home / "sieve" / "mine.sieve").write_text(SIEVE)
    (home / ".dovecot.sieve").symlink_to("sieve/mine.sieve")


def disown(containers: Containers, volumes: Volumes) -> None:
    command = "chown -R 119:131 /var/mail-state /var/mail"
    done = containers.command("bash", "-c", command, options=volumes.options())
    assert done.code == 0, done.output


@pytest.fixture
def volumes(tmp_path: Path, containers: Containers) -> Iterator[Volumes]:
    volumes = Volumes(tmp_path)
    yield volumes
    containers.command("bash", "-c", "rm -rf /var/mail/* /var/mail-state/* /var/log/mail/*", options=volumes.options())
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_volumes_of_a_release_are_taken_over(containers: Containers, volumes: Volumes, release: Release) -> None:
    lay_out(volumes, release)
    disown(containers, volumes)
    config = volumes.base / "config"
    config.mkdir()
    server = containers.start(
        release.config, config, environment={"ENABLE_AMAVIS": "0", **release.environment}, options=volumes.options()
    )
    try:
        server.wait_until_up()
        check_mail(server)
        check_state(server, release)
        server.checked("dmsctl", "health")
    finally:
        server.remove()


def check_mail(server: Server) -> None:
    """The mail is there, new mail comes beside it, the user's own script still sorts, and alias and quota hold."""
    with server.imap(ANNA) as imap:
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", '"from before"')[1] == [b"1"]
        assert b"5120" in b"".join(imap.getquotaroot("INBOX")[1][1])
    server.send(f"sales@{DOMAIN}", "into a folder", port=587, login=ANNA)
    server.wait_for_line("/var/log/mail/mail.log", "stored mail into mailbox 'Sorted'")  # the script makes it
    server.receive(ANNA, "into a folder", mailbox="Sorted")
    assert server.checked("find", "/var/mail", "!", "-uid", "5000").strip() == ""
    assert "smtpd_hard_error_limit = 7" in server.checked("postconf", "-P", "submissions/inet/smtpd_hard_error_limit")


def check_state(server: Server, release: Release) -> None:
    """Every directory of the release still holds what it held, and what is used is linked and has its owner."""
    for name in release.state:
        assert server.checked("cat", f"/var/mail-state/{name}/kept") == release.name
    for path, name, owner in (
        ("/var/lib/postfix", "lib-postfix", "postfix"),
        ("/var/spool/postfix", "spool-postfix", "root"),
        ("/var/lib/dovecot", "lib-dovecot", None),
        ("/var/lib/fetchmail", "lib-fetchmail", "fetchmail"),
        ("/var/lib/getmail", "lib-getmail", None),
    ):
        if name not in release.state:
            continue
        assert server.checked("readlink", path).strip() == f"/var/mail-state/{name}"
        if owner:
            assert server.checked("stat", "-c", "%U", f"/var/mail-state/{name}").strip() == owner
    spool = server.checked("ls", "/var/mail-state/spool-postfix").split()
    assert not {"dev", "etc", "usr"} & set(spool)
    assert server.checked("stat", "-c", "%a %U %G", "/var/spool/postfix/maildrop").split() == [
        "730",
        "postfix",
        "postdrop",
    ]


def test_a_queue_survives_a_new_image(containers: Containers, volumes: Volumes) -> None:
    """Behaviours 193 and 195: the same volumes, another container, other numeric ids."""
    config = volumes.base / "config"
    config.mkdir()
    files = {"postfix-accounts.cf": f"{ANNA}|{HASH}\n", "postfix-main.cf": "defer_transports = smtp\n"}
    server = containers.start(
        files, config, environment={"ENABLE_AMAVIS": "0"}, options=volumes.options()
    ).wait_until_up()
    server.send("far@elsewhere.test", "still queued", port=587, login=ANNA)
    server.send(ANNA, "delivered before", port=587, login=ANNA)
    server.receive(ANNA, "delivered before")
    server.until("postqueue -j | grep -q far@elsewhere.test")
    server.stop()
    server.remove()
    disown(containers, volumes)
    again = containers.start(files, config, environment={"ENABLE_AMAVIS": "0"}, options=volumes.options())
    try:
        again.wait_until_up()
        assert "far@elsewhere.test" in again.checked("postqueue", "-j")
        again.receive(ANNA, "delivered before")
        (config / "postfix-main.cf").write_text("transport_maps = inline:{elsewhere.test=discard:}\n")
        again.checked("dmsctl", "apply")
        again.checked("postqueue", "-f")
        again.until("postqueue -p | grep -q 'is empty'")
    finally:
        again.remove()


def test_an_absent_config_volume_says_what_to_do(containers: Containers) -> None:
    checked = containers.command("dmsctl", "render", "--check", options=["--hostname", "mail.example.test"])
    assert checked.code == 0
    added = containers.command(
        "bash", "-c", f"setup email add a@{DOMAIN} secret && cat {CONFIG}/postfix-accounts.cf",
        options=["--hostname", "mail.example.test"],
    )  # fmt: skip
    assert added.code == 0, added.output
    assert f"a@{DOMAIN}|" in added.output
