"""What a user sets for Postfix holds for the other daemons too."""

from email.message import EmailMessage

import pytest

from tests.image.conftest import AT_ONCE, Start
from tests.image.harness import DOMAIN, Server, account, letter

ANNA = f"anna@{DOMAIN}"
ACCOUNTS = {"postfix-accounts.cf": account(ANNA), "dovecot.cf": AT_ONCE}
MAIN_CF = "message_size_limit = 3300000\nrecipient_delimiter = -\n"
RSPAMD = {
    "ENABLE_RSPAMD": "1", "RSPAMD_CHECK_AUTHENTICATED": "1", "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0",
    "ENABLE_OPENDMARC": "0", "ENABLE_POLICYD_SPF": "0",
}  # fmt: skip
OWN_LINES_BYTES = 2500
"""What Postfix adds to a message (Received, the envelope) and counts as part of it: a signature is not counted."""


def dated(recipient: str, subject: str) -> EmailMessage:
    message = letter(recipient, subject, ANNA)
    message["Date"] = "Mon, 01 Jan 2024 12:00:00 +0000"
    return message


def of_size(message: EmailMessage, size_bytes: int) -> bytes:
    """Return a message as SMTP has it, filled up to a size."""
    data = message.as_bytes().replace(b"\n", b"\r\n")
    lines, rest = divmod(size_bytes - len(data), 72)
    return data + (b"x" * 70 + b"\r\n") * lines + (b"x" * (rest - 2) + b"\r\n" if rest > 2 else b"")


def hand_in(server: Server, recipient: str, data: bytes) -> int:
    """Return the answer to a message whose size was not announced."""
    with server.smtp(465, login=ANNA) as smtp:
        smtp.mail(ANNA)
        assert smtp.rcpt(recipient)[0] == 250
        return smtp.data(data)[0]


@pytest.mark.parametrize(
    ("environment", "main_cf", "recipient"),
    [
        ({"POSTFIX_MESSAGE_SIZE_LIMIT": "1900000", "ENABLE_SPAMASSASSIN": "1"}, "", ANNA),
        ({"POSTFIX_MESSAGE_SIZE_LIMIT": "1900000"} | RSPAMD, "", ANNA),
        ({}, MAIN_CF, f"anna-list@{DOMAIN}"),
    ],
)
def test_what_postfix_accepts_is_delivered(
    start: Start, environment: dict[str, str], main_cf: str, recipient: str
) -> None:
    files = ACCOUNTS | {"postfix-main.cf": main_cf, "spamassassin-rules.cf": "dns_available no\n"}
    server = start(files, environment=environment | {"ENABLE_QUOTAS": "1"}).wait_until_up()
    limit = int(server.checked("postconf", "-h", "message_size_limit"))
    assert hand_in(server, recipient, of_size(dated(recipient, "large"), limit - OWN_LINES_BYTES)) == 250
    assert hand_in(server, recipient, of_size(dated(recipient, "too large"), limit + 1)) == 552
    # As long as the fields of a thousand recipients; OpenDKIM's limit is 64 KiB by default.
    long = dated(recipient, "long header")
    for number in range(3000):
        long[f"X-Field-{number}"] = "x" * 60
    assert hand_in(server, recipient, long.as_bytes().replace(b"\n", b"\r\n")) == 250
    server.receive(ANNA, "large")
    assert server.receive(ANNA, "long header")["X-Field-2999"]
    assert int(server.checked("doveconf", "-h", "quota_mail_size").strip().rstrip("M")) << 20 >= limit
    assert server.checked("doveconf", "-h", "recipient_delimiter").strip() == ("-" if main_cf else "+")
