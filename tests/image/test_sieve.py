"""Programs that Sieve scripts start: which ones users may call, and that none of them gains rights."""

from collections.abc import Iterator

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, Server, account
from tests.image.sieve import managesieve

ANNA, BOB, EVE = (f"{name}@{DOMAIN}" for name in ("anna", "bob", "eve"))
RECORD = """#!/bin/sh
# Notes who runs it, and whether it can become root again.
{
    grep -E '^(Uid|Gid|Groups|CapPrm|CapEff):' /proc/self/status
    setpriv --reuid=0 true 2> /dev/null && echo became root
    setpriv --regid=0 true 2> /dev/null && echo joined root
    cat /etc/dovecot/userdb > /dev/null 2>&1 && echo reads userdb
    echo "arguments: $* user: $USER sender: $SENDER recipient: $RECIPIENT"
} >> /tmp/record-$(id -u)
"""
UPPER = "#!/bin/sh\nid -u > /tmp/filtered-by\nexec tr a-z A-Z\n"
CALLS = """require ["vnd.dovecot.pipe", "vnd.dovecot.filter", "copy"];
filter "upper";
pipe :copy "record" ["one word", "$(id)"];
"""
PATCHES = "install -d -o 6001 -g 6001 /srv/eve\nchmod 644 /var/log/mail/mail.log\n"
PROGRAMS = {"sieve-pipe/record": RECORD, "sieve-filter/upper": UPPER}
PLAIN = {"ENABLE_MANAGESIEVE": "1", "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0"}
AS_DOCKER = ["Uid:\t5000\t5000\t5000\t5000", "Gid:\t5000\t5000\t5000\t5000", "Groups:\t5000 "]
NO_CAPABILITIES = [f"{name}:\t0000000000000000" for name in ("CapPrm", "CapEff")]
IMAP_SCRIPT = 'require ["vnd.dovecot.pipe", "copy", "imapsieve"];\npipe :copy "record" ["by imap"];\n'
IN_IMAP = """protocol imap {
  mail_plugins {
    imap_sieve = yes
  }
}
mailbox Sent {
  sieve_script note {
    type = before
    cause = append
    path = /etc/dovecot/note.sieve
  }
}
"""


@pytest.fixture(scope="module")
def server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose administrator has a program of each kind, and a script of his own for IMAP."""
    files = {
        "postfix-accounts.cf": account(ANNA) + account(BOB), **PROGRAMS, "dovecot.cf": IN_IMAP,
        "user-patches.sh": f"cat > /etc/dovecot/note.sieve <<'END'\n{IMAP_SCRIPT}END\n",
    }  # fmt: skip
    server = containers.start(files, tmp_path_factory.mktemp("sieve"), environment=PLAIN).wait_until_up()
    yield server
    server.remove()


def record_of(server: Server, uid: int = 5000) -> list[str]:
    """Return what the recording program has written since it was asked last, and that nobody else ran it."""
    found = server.checked("sh", "-c", "ls /tmp/record-*").split()
    assert found == [f"/tmp/record-{uid}"]
    lines = server.checked("cat", *found).splitlines()
    server.checked("rm", *found)
    return lines


def test_a_program_of_the_administrators_runs_as_the_mail_user(server: Server) -> None:
    with managesieve(server, BOB) as session:
        assert session.put("mine", CALLS).startswith(b"OK")
    server.send(BOB, "to be filtered")
    body = server.receive(BOB, "TO BE FILTERED").get_content()
    assert body.strip() == "THIS IS TO BE FILTERED."
    lines = record_of(server)
    assert lines[:3] == AS_DOCKER
    assert lines[3:5] == NO_CAPABILITIES
    # That is all: it did not become root, and reads no passwords.
    assert lines[5:] == [f"arguments: one word $(id) user: {BOB} sender:  recipient: {BOB}"]
    assert server.checked("cat", "/tmp/filtered-by").strip() == "5000"
    lmtp = server.checked("sh", "-c", "ps -C lmtp -o user=,args= | grep dovecot/lmtp").split("\n")
    assert {line.split()[0] for line in lmtp if line} == {"docker"}


def test_under_imap_and_deliver_too(server: Server) -> None:
    with server.imap(ANNA) as imap:
        assert imap.append("Sent", "", "", b"Subject: sent\r\n\r\nbody\r\n")[0] == "OK"
    lines = record_of(server)
    assert lines[:5] == AS_DOCKER + NO_CAPABILITIES
    assert lines[5:] == [f"arguments: by imap user: {ANNA} sender:  recipient: "]
    with managesieve(server, BOB) as session:
        assert session.put("mine", CALLS).startswith(b"OK")
    delivered = server.run("/usr/lib/dovecot/deliver", "-d", BOB, stdin="Subject: by deliver\n\nbody\n")
    assert delivered.code == 0, delivered.output
    assert record_of(server)[:5] == AS_DOCKER + NO_CAPABILITIES


@pytest.mark.parametrize("program", ["rspamc", "spamassassin-learn-ham", "..", ".", "learn-spam.sieve", "nothing"])
def test_nothing_else_is_there_to_call(server: Server, program: str) -> None:
    with managesieve(server, ANNA) as session:
        script = (
            f'require ["vnd.dovecot.pipe"];\npipe "{program}" ["-e", "/bin/sh -c \'id > /tmp/owned\'", "symbols"];\n'
        )
        assert session.put("theirs", script).startswith(b"OK")
    server.send(ANNA, f"for {program}")
    assert server.receive(ANNA, f"for {program}")
    assert server.run("test", "-e", "/tmp/owned").code == 1


@pytest.mark.parametrize("program", ["../../../../bin/sh", "/bin/sh", "a/../record"])
def test_a_path_is_no_name_of_a_program(server: Server, program: str) -> None:
    with managesieve(server, ANNA) as session:
        for extension, command in (("pipe", "pipe"), ("filter", "filter")):
            answer = session.put("theirs", f'require ["vnd.dovecot.{extension}"];\n{command} "{program}";\n')
            assert answer.startswith(b"NO")
            assert b"invalid program name" in answer


@pytest.mark.parametrize("extension", ["vnd.dovecot.execute", "editheader"])
def test_extensions_that_are_not_for_users(server: Server, extension: str) -> None:
    with managesieve(server, ANNA) as session:
        assert session.put("theirs", f'require ["{extension}"];\nkeep;\n').startswith(b"NO")


def test_mailboxes_of_several_owners(start: Start) -> None:
    """LMTP becomes the owner for a moment and remains root; no program of a script does."""
    own = "userdb_uid=6001 userdb_gid=6001 userdb_home=/srv/eve userdb_mail_path=/srv/eve/mail"
    accounts = account(ANNA) + account(BOB) + account(EVE).replace("\n", f"|{own}\n")
    files = {"postfix-accounts.cf": accounts, **PROGRAMS, "user-patches.sh": PATCHES}
    server = start(files, environment=PLAIN).wait_until_up()
    for user in (BOB, EVE):
        with managesieve(server, user) as session:
            assert session.put("mine", CALLS).startswith(b"OK")
    with server.smtp() as smtp:
        smtp.sendmail("", [BOB, EVE, ANNA], b"Subject: for all\r\n\r\nof them\r\n")
    assert server.receive(ANNA, "for all")
    for user in (BOB, EVE):
        assert server.receive(user, "FOR ALL").get_content().strip() == "OF THEM"
    lines = record_of(server)
    assert len(lines) == 12
    for part in (lines[:6], lines[6:]):
        assert part[:5] == AS_DOCKER + NO_CAPABILITIES
        assert part[5].startswith("arguments: one word $(id) user: ")
    assert server.checked("stat", "--format=%u", "/srv/eve/mail").strip() == "6001"
