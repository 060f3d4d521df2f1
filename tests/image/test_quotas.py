"""Mailboxes that are full: who asks for room in them is told before the message is sent."""

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, account

ANNA, INFO = f"anna@{DOMAIN}", f"info@{DOMAIN}"


def test_a_full_mailbox_takes_no_more_under_any_of_its_names(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA),
        "postfix-virtual.cf": f"{INFO} {ANNA}\n",
        "dovecot-quotas.cf": f"{ANNA}:200k\n",
    }
    server = start(files).wait_until_up()
    full = "Quota exceeded (mailbox for user is full)"
    with server.smtp() as smtp:
        for recipient in (ANNA, INFO):
            smtp.mail("", ["SIZE=150000"])
            assert smtp.rcpt(recipient)[0] == 250
            smtp.rset()
        server.run("doveadm", "save", "-u", ANNA, stdin="Subject: filling\n\n" + 2000 * (75 * "x" + "\n"))
        for recipient in (ANNA, INFO):
            smtp.mail("", ["SIZE=150000"])
            code, text = smtp.rcpt(recipient)
            assert (code, full in text.decode()) == (552, True), text
            smtp.rset()
