"""Nobody has root follow a link: every user of the image plants links wherever it can write, and nothing outside
changes.

One server with all services on. For each directory that is not root's, its owner moves everything in it aside and puts
links to copies of it, which are root's, in its place. What is asked for by name comes on top: links to /etc itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account

EVERYTHING = {
    "ENABLE_AMAVIS": "1", "ENABLE_SPAMASSASSIN": "1", "ENABLE_CLAMAV": "1", "ENABLE_OPENDKIM": "1", "ENABLE_OPENDMARC":
    "1", "ENABLE_POSTGREY": "1", "ENABLE_FETCHMAIL": "1", "FETCHMAIL_PARALLEL": "1", "ENABLE_GETMAIL": "1",
    "ENABLE_MTA_STS": "1", "ENABLE_SRS": "1", "ENABLE_FAIL2BAN": "1", "ENABLE_MANAGESIEVE": "1", "ENABLE_QUOTAS": "1",
    "ENABLE_RSPAMD": "1", "ENABLE_RSPAMD_REDIS": "1", "RSPAMD_LEARN": "1", "LOG_LEVEL": "debug",
}  # fmt: skip
SCRIPT = "keep;\n"
FILES = {
    "postfix-accounts.cf": "".join(
        account(address)
        for address in (f"anna@{DOMAIN}", "bob@second.test", "carla@third.test", "dora@fourth.test", "emil@fifth.test")
    ),
    "dora@fourth.test.dovecot.sieve": SCRIPT,
    "emil@fifth.test.dovecot.sieve": SCRIPT,
    "fetchmail.cf": "poll 'pop.example.test' proto POP3 user 'x' pass 'y' is 'anna@example.test'\n",
    "opendkim/KeyTable": f"mail._domainkey.{DOMAIN} {DOMAIN}:mail:/etc/opendkim/keys/{DOMAIN}/mail.private\n",
    "opendkim/SigningTable": f"*@{DOMAIN} mail._domainkey.{DOMAIN}\n",
    f"opendkim/keys/{DOMAIN}/mail.private": "-----BEGIN PRIVATE KEY-----\nYSBrZXk=\n-----END PRIVATE KEY-----\n",
    "before.dovecot.sieve": SCRIPT,
}
AREAS = ("/var/mail-state", "/var/mail", "/var/log/mail", "/etc", "/run", "/usr/lib/dovecot", "/tmp/docker-mailserver")

PLANT = f"""
import os, pathlib, shutil, stat

OUTSIDE = "/outside"
by_name = [
    ("amavis", "/var/lib/amavis/.spamassassin", "/etc"), ("opendkim", "/etc/opendkim/keys", "/etc"),
    ("debian-spamd", "/var/lib/spamassassin/compiled", "/etc"), ("docker", "/var/mail/{DOMAIN}", "/etc"),
    ("docker", "/var/mail/second.test/bob", "/etc"), ("docker", "/var/mail/third.test/carla/home", "/etc"),
    ("docker", "/var/mail/fourth.test/dora/home/.dovecot.sieve", "/etc/passwd"),
    ("docker", "/var/mail/fifth.test/emil/home/.dovecot.sieve", "/etc/made-by-root"),
]
spared = {{path for _, path, _ in by_name}} | {{
    f"/var/mail/{{domain}}.test" for domain in ("second", "third", "fourth", "fifth")}}

def acting(uid, gid, deed):
    child = os.fork()
    if child == 0:
        os.setgroups([]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
        try:
            deed()
        except BaseException as error:
            print("cannot plant:", error, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "a link could not be planted"

def put(path, target):
    def deed():
        if os.path.islink(path):
            os.unlink(path)
        elif os.path.lexists(path):
            os.rename(path, path + ".o")
        os.symlink(target, path)
    return deed

def own(path):
    os.lchown(path, 0, 0)
    if not os.path.islink(path):
        os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)

owners = set()
areas = [pathlib.Path(parent, name) for top in {AREAS!r} for parent, names, _ in os.walk(top) for name in names
         if os.lstat(parent).st_uid == 0 and os.lstat(f"{{parent}}/{{name}}").st_uid != 0]
areas += [pathlib.Path(top) for top in {AREAS!r} if os.stat(top).st_uid != 0]
for number, area in enumerate(dict.fromkeys(areas)):
    copy, status = f"{{OUTSIDE}}/{{number}}", area.stat()
    shutil.copytree(area, copy, symlinks=True, dirs_exist_ok=True, ignore=lambda where, names: [
        name for name in names if stat.S_IFMT(os.lstat(f"{{where}}/{{name}}").st_mode) in (stat.S_IFSOCK,
        stat.S_IFIFO)])
    for parent, directories, names in os.walk(copy):
        for name in (*directories, *names):
            own(f"{{parent}}/{{name}}")
    own(copy)
    pathlib.Path(copy, "more").write_text("root's own")
    os.chmod(f"{{copy}}/more", 0o600)
    for name in (*os.listdir(copy), "planted.pid"):
        if str(area / name) not in spared:
            acting(status.st_uid, status.st_gid, put(str(area / name), f"{{copy}}/{{name}}"))
            owners.add(status.st_uid)
for user, path, target in by_name:
    status = os.stat(os.path.dirname(path))
    acting(status.st_uid, status.st_gid, put(path, target))
    owners.add(status.st_uid)
# With fs.protected_hardlinks=0 every user can do this.
pathlib.Path("/var/mail-state/secret").write_text("root's own")
os.chmod("/var/mail-state/secret", 0o600)
os.link("/var/mail-state/secret", "/var/lib/amavis/hard")
print(len(areas), "directories of", len(owners), "users")
"""
LOOK = r"""
find /outside /var/mail-state/secret -printf '%p %y %u:%g %m %s %l\n' | sort
find /outside -type f -exec sha256sum {} + | sort
stat -c '%n %U:%G %a' /etc /etc/passwd /etc/shadow /etc/group /etc/postfix /etc/dovecot /etc/ssl
find /etc -maxdepth 1 -name 'made-by-root*' -o -maxdepth 1 -name anna -o -maxdepth 1 -name home
sha256sum /etc/passwd /etc/shadow /etc/group
"""


@dataclass
class Planted:
    """A server in which links were planted, and what was outside then."""

    server: Server
    before: str
    volumes: list[str]

    def differences(self) -> list[str]:
        """Return how what is outside differs from before, a line each; nothing when nothing changed."""
        now = self.server.checked("sh", "-c", LOOK)
        return sorted(set(now.splitlines()) ^ set(self.before.splitlines()))


@pytest.fixture(scope="module")
def planted(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    base = tmp_path_factory.mktemp("links")
    places = {"mail": "/var/mail", "state": "/var/mail-state", "logs": "/var/log/mail", "outside": "/outside"}
    for name in (*places, "config"):
        (base / name).mkdir()
    volumes = [option for name, place in places.items() for option in ("--volume", f"{base / name}:{place}")]
    server = containers.start(FILES, base / "config", environment=EVERYTHING, options=volumes)
    server.wait_for_log("dovecot: starting → ready")  # so many services take a while where processors are busy
    server.wait_until_up()
    made = server.run("python3", "-", stdin=PLANT)
    assert made.code == 0, made.output
    assert int(made.output.split()[-2]) >= 12, f"links were planted by too few users: {made.output}"
    yield Planted(server, server.checked("sh", "-c", LOOK), volumes)
    server.remove()


def test_an_apply_changes_nothing_outside(planted: Planted) -> None:
    config = planted.server.config
    (config / "postfix-accounts.cf").write_text(FILES["postfix-accounts.cf"] + account(f"frieda@{DOMAIN}"))
    (config / "dora@fourth.test.dovecot.sieve").write_text("stop;\n")
    (config / "before.dovecot.sieve").write_text("stop;\n")
    said = planted.server.run("dmsctl", "apply").output
    assert planted.differences() == []
    home = planted.server.checked("ls", "-l", "/var/mail/fourth.test/dora/home/.dovecot.sieve")
    assert home.startswith("-rw-------"), f"the link was not replaced by the script: {said}"


COMMANDS = (
    ("setup", "email", "del", "-y", f"anna@{DOMAIN}"),
    ("setup", "email", "del", "-y", "bob@second.test"),
    ("setup", "config", "dkim", "keysize", "1024", "domain", "third.test"),
    ("setup", "debug", "fetchmail"),
    ("virus-wiper",),
    ("dmsctl", "restart", "dovecot"),
    ("dmsctl", "restart", "fail2ban"),
    ("logrotate", "--force", "/etc/logrotate.conf"),
    ("dmsctl", "backup", "/tmp/archive"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_root_changes_nothing_outside(planted: Planted, command: tuple[str, ...]) -> None:
    """Whether it succeeds is another matter: what it works on is not where it should be."""
    planted.server.run(*command)
    assert planted.differences() == []


def test_a_restart_changes_nothing_outside_and_mends_what_the_server_needs(planted: Planted) -> None:
    planted.server.restart()
    log = planted.server.wait_for_log("DEBUG dmsinit: TZ=", 2)
    assert planted.differences() == []
    kinds = planted.server.checked("stat", "-c", "%F", "/etc/opendkim/keys", "/var/lib/amavis/.spamassassin")
    assert kinds.splitlines() == ["directory", "directory"]
    assert "/etc/opendkim/keys: is a symbolic link to /etc that another user may have made" in log
    for name in ("amavis", "postgrey", "mta-sts", "rspamd"):
        assert f"/var/lib/{name}: had symbolic links that " in log


OWN = """
cd /var/lib/amavis
for name in tmp db .spamassassin virusmails; do mv $name $name.o; done
ln -s /etc tmp && ln -s /dev/null db && ln -s /nowhere .spamassassin && touch virusmails
"""


def test_links_in_its_own_state_do_not_keep_a_daemon_from_starting(crash_server: Server) -> None:
    planted = crash_server.run("setpriv", "--reuid=amavis", "--regid=amavis", "--clear-groups", "sh", "-ec", OWN)
    assert planted.code == 0, planted.output
    crash_server.checked("dmsctl", "restart", "amavis")
    kinds = crash_server.checked("sh", "-c", "cd /var/lib/amavis && stat -c '%F %U' tmp db .spamassassin virusmails")
    assert kinds.splitlines() == ["directory amavis"] * 4
    said = crash_server.checked("dmsctl", "logs", "amavis")
    assert "symbolic links that amavis cannot use, which were removed: db -> /dev/null, tmp -> /etc, " in said
    assert "/var/lib/amavis/virusmails was not a directory; it was renamed to virusmails.aside" in said
    crash_server.send(f"anna@{DOMAIN}", "Through the new directories")
    crash_server.receive(f"anna@{DOMAIN}", "Through the new directories")


PLANTS = ("ln -s /etc/planted mail.log", "ln /etc/planted mail.log", "mkfifo mail.log", "mkdir mail.log")


@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_planted_in_place_of_the_mail_log_neither_leads_nor_stops_rsyslog(
    crash_server: Server, plant: str
) -> None:
    """By the directory's owner, as which nothing runs; a hard link as with fs.protected_hardlinks=0: root makes it."""
    actor = [] if plant.startswith("ln /") else ["setpriv", "--reuid=syslog", "--regid=syslog", "--clear-groups"]
    crash_server.checked("sh", "-ec", "echo root > /etc/planted; chmod 600 /etc/planted")
    crash_server.checked(*actor, "sh", "-ec", f"cd /var/log/mail; mv mail.log before.$$; {plant}")
    crash_server.checked("dmsctl", "restart", "rsyslog")
    crash_server.checked("logger", "--priority", "mail.info", f"after {plant}")
    crash_server.wait_for_line("/var/log/mail/mail.log", f"after {plant}")
    status = crash_server.checked("stat", "-c", "%F %h %U:%G %a", "/var/log/mail/mail.log")
    assert status == "regular file 1 syslog:root 640\n"
    assert crash_server.checked("cat", "/etc/planted") == "root\n"
    crash_server.checked("sh", "-c", "rm -rf /etc/planted /var/log/mail/mail.log.aside*")


def test_a_recreation_changes_nothing_outside(planted: Planted, containers: Containers) -> None:
    planted.server.remove()
    planted.server = containers.start({}, planted.server.config, environment=EVERYTHING, options=planted.volumes)
    planted.server.wait_for_log("DEBUG dmsinit: TZ=")
    here = [line for line in planted.differences() if line.startswith(("/outside", "/var/mail-state"))]
    assert here == []
