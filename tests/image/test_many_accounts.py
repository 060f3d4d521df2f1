"""More accounts than a start makes mailboxes for: the rest is made beside the running server, or when mail comes."""

from collections.abc import Iterator

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account

COUNT = 620
FIRST, LAST = f"user0@{DOMAIN}", f"user{COUNT - 1}@{DOMAIN}"


@pytest.fixture(scope="module")
def many(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {
        "postfix-accounts.cf": "".join(account(f"user{number}@{DOMAIN}") for number in range(COUNT)),
        f"{FIRST}.dovecot.sieve": "keep;\n",
    }
    server = containers.start(files, tmp_path_factory.mktemp("many"), environment={"ENABLE_AMAVIS": "0"})
    yield server.wait_until_up()
    server.remove()


def test_all_mailboxes_come_to_be_and_are_the_mail_users(many: Server) -> None:
    many.wait_for_line("/var/log/supervisor/mailboxes.log", "^[0-9]+ mailboxes were made$")
    homes = many.checked("find", "/var/mail", "-mindepth", "3", "-name", "home", "-user", "docker", "-group", "docker")
    assert len(homes.splitlines()) == COUNT
    assert many.checked("find", "/var/mail", "!", "-user", "docker") == ""
    assert many.services()["mailboxes"]["state"] == "exited"


def test_a_script_is_there_from_the_beginning(many: Server) -> None:
    """Its mailbox is among those that a start makes, wherever the account is in the file."""
    assert many.checked("cat", f"/var/mail/{DOMAIN}/user0/home/.dovecot.sieve") == "keep;\n"
    assert "cannot be made" not in many.log()


def test_dovecot_makes_a_mailbox_that_is_not_there_yet(many: Server) -> None:
    many.checked("rm", "-r", f"/var/mail/{DOMAIN}/user{COUNT - 1}")
    many.send(LAST, "the first message")
    many.receive(LAST, "the first message")
    with many.imap(FIRST) as imap:
        assert imap.select("INBOX")[0] == "OK"


def test_a_new_account_among_many_has_its_mailbox_at_once(many: Server) -> None:
    many.checked("setup", "email", "add", f"new@{DOMAIN}", "a long pass phrase")
    many.checked("dmsctl", "apply")
    many.checked("test", "-d", f"/var/mail/{DOMAIN}/new/home")
