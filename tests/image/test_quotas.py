"""Mailboxes that are full: who asks for room in them is told before the message is sent."""

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, account, letter

ANNA, BOB, INFO = (f"{name}@{DOMAIN}" for name in ("anna", "bob", "info"))


def test_a_full_mailbox_takes_no_more_under_any_of_its_names(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA) + account(BOB),
        "postfix-virtual.cf": f"{INFO} {ANNA}\n",
        "dovecot-quotas.cf": f"{ANNA}:200k\n{BOB}:200k\n",
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

    # A message that crosses both marks is followed by one warning, that of the higher one.
    message = letter(BOB, "nearly full", f"outside@{DOMAIN}")
    message.set_content(1930 * (99 * "x" + "\n"))
    with server.smtp() as smtp:
        smtp.sendmail("", [BOB], message.as_bytes())
    assert "95 % full" in server.receive(BOB, "quota warning").get_content()
    server.send(BOB, "what came after")
    server.receive(BOB, "what came after")
    assert server.checked("doveadm", "search", "-u", BOB, "subject", "quota warning").count("\n") == 1
