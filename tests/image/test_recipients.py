"""Who receives mail from the world: mailboxes, aliases, postmaster and abuse; no system user, nobody unknown."""

from collections.abc import Iterator

import pytest

from tests.image.conftest import AT_ONCE, Start
from tests.image.harness import DOMAIN, Containers, Server, account

ANNA, BOB = f"anna@{DOMAIN}", "bob@second.test"
QUIET = {"ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0"}
FILES = {
    "postfix-accounts.cf": account(ANNA) + account(BOB) + account(f"carla@{DOMAIN}"),
    "postfix-virtual.cf": f"abuse@second.test {BOB}\n@third.test {BOB}\n",
    "postfix-aliases.cf": f"backup: {BOB}\ndevnull: /dev/null\n",
    "postfix-main.cf": "postscreen_greet_wait = 1s\n",
    "dovecot.cf": AT_ONCE,
}


@pytest.fixture(scope="module")
def known(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """POSTMASTER_ADDRESS is anna."""
    environment = QUIET | {"POSTMASTER_ADDRESS": ANNA}
    server = containers.start(FILES, tmp_path_factory.mktemp("known"), environment=environment)
    yield server.wait_until_up()
    server.remove()


def answers(server: Server, *recipients: str) -> dict[str, int]:
    """Return the codes with which port 25 answers RCPT for each."""
    with server.smtp() as smtp:
        smtp.mail("")
        return {recipient: smtp.docmd("RCPT", f"TO:<{recipient}>")[0] for recipient in recipients}


def test_no_system_user_receives_mail_from_outside(known: Server) -> None:
    here = "mail.example.test"
    refused = [f"{name}@{here}" for name in ("root", "docker", "www-data", "amavis", "postfix", "nobody")]
    refused += ["amavis@localhost", "root@localhost", f"root@localhost.{DOMAIN}", f"unknown@{DOMAIN}"]
    taken = [
        f"backup@{here}",
        f"devnull@{here}",
        f"postmaster@{here}",
        f"abuse@{here}",
        "postmaster",
        "anything@third.test",
    ]
    found = answers(known, *refused, *taken)
    assert {name: code for name, code in found.items() if name in refused} == dict.fromkeys(refused, 550)
    assert {name: code for name, code in found.items() if name in taken} == dict.fromkeys(taken, 250)


def test_postmaster_and_abuse_reach_the_postmaster_unless_they_are_mapped(known: Server) -> None:
    of_anna = ["postmaster", "postmaster@mail.example.test", f"abuse@{DOMAIN}", "postmaster@second.test"]
    for recipient in of_anna:
        known.send(recipient, f"to {recipient}")
    for recipient in ("abuse@second.test", "abuse@third.test"):
        known.send(recipient, f"to {recipient}")
    for recipient in of_anna:
        known.receive(ANNA, f"to {recipient}")
    for recipient in ("abuse@second.test", "abuse@third.test"):
        known.receive(BOB, f"to {recipient}")


def test_programs_inside_still_write_to_root(known: Server) -> None:
    known.checked("sh", "-c", "printf 'Subject: from cron\\n\\nx\\n' | sendmail root")
    known.receive(ANNA, "from cron")


def test_who_deletes_the_postmaster_is_told(known: Server) -> None:
    assert "POSTMASTER_ADDRESS" not in known.log()
    said = known.containers.call(
        "exec", "--env", f"POSTMASTER_ADDRESS={ANNA}", known.name, "setup", "email", "del", "-y", ANNA
    )
    assert said.code == 0
    assert f"POSTMASTER_ADDRESS is {ANNA}, which has no mailbox or alias any more" in said.output
    findings = known.run("dmsctl", "doctor").output
    assert f"{ANNA} (POSTMASTER_ADDRESS) has neither a mailbox nor an alias" in findings


def test_a_postmaster_that_does_not_exist_is_told_at_start_and_nothing_comes_back_to_strangers(start: Start) -> None:
    loop = f"a@{DOMAIN} b@{DOMAIN}\nb@{DOMAIN} a@{DOMAIN}\n"
    server = start(FILES | {"postfix-virtual.cf": loop}, environment=QUIET).wait_until_up()
    log = server.log()
    assert f"POSTMASTER_ADDRESS: postmaster@{DOMAIN} has neither a mailbox nor an alias" in log
    assert f"aliases lead in a circle (a@{DOMAIN} → b@{DOMAIN} → a@{DOMAIN})" in log
    refused = (f"postmaster@{DOMAIN}", f"abuse@{DOMAIN}", "abuse@mail.example.test")
    assert answers(server, *refused) == dict.fromkeys(refused, 550)


def test_a_host_name_that_is_a_mailbox_domain_receives_its_mail(start: Start) -> None:
    environment = QUIET | {"OVERRIDE_HOSTNAME": DOMAIN, "POSTMASTER_ADDRESS": ANNA}
    server = start(FILES, environment=environment).wait_until_up()
    server.send(ANNA, "to a bare domain")
    server.receive(ANNA, "to a bare domain")
    assert answers(server, f"unknown@{DOMAIN}", f"docker@{DOMAIN}") == {
        f"unknown@{DOMAIN}": 550,
        f"docker@{DOMAIN}": 550,
    }
    assert "do not list domain" not in server.mail_log()
    server.checked("sh", "-c", "printf 'Subject: from cron\\n\\nx\\n' | sendmail root")
    server.receive(ANNA, "from cron")


def test_a_server_without_mailboxes_refuses_whom_it_does_not_know(start: Start) -> None:
    environment = QUIET | {"SMTP_ONLY": "1", "POSTFIX_DAGENT": "lmtp:[127.0.0.1]:2400"}
    server = start(FILES, environment=environment).wait_until_up()
    assert answers(server, ANNA, f"unknown@{DOMAIN}") == {ANNA: 250, f"unknown@{DOMAIN}": 550}


def test_an_unknown_recipient_is_refused_at_once_whatever_would_defer_others(start: Start) -> None:
    """Greylisting, the sender's domain and the client's name are asked about known recipients only."""
    environment = {
        "ENABLE_POSTGREY": "1", "POSTFIX_REJECT_UNKNOWN_CLIENT_HOSTNAME": "1", "ENABLE_QUOTAS": "1",
        "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0", "PERMIT_DOCKER": "none",
    }  # fmt: skip
    files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}"), "postfix-main.cf": "postscreen_greet_wait = 1s\n"}
    server = start(files, environment=environment).wait_until_up()
    with server.smtp(25) as smtp:
        for sender in ("", f"bob@{DOMAIN}", "someone@nowhere.test"):
            smtp.mail(sender)
            code, answer = smtp.rcpt(f"nobody@{DOMAIN}")
            assert (code, answer.split()[0]) == (550, b"5.1.1"), answer
            assert smtp.rcpt(f"anna@{DOMAIN}")[0] == 450
            smtp.rset()
