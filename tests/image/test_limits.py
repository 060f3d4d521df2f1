"""What a user sets for Postfix holds for the other daemons too."""

import pytest

from tests.image.conftest import AT_ONCE, Start
from tests.image.harness import DOMAIN, account, letter

ANNA = f"anna@{DOMAIN}"
ACCOUNTS = {"postfix-accounts.cf": account(ANNA), "dovecot.cf": AT_ONCE}
MAIN_CF = "message_size_limit = 3300000\nrecipient_delimiter = -\n"


@pytest.mark.parametrize(
    ("environment", "main_cf", "bytes_sent", "recipient"),
    [
        ({"POSTFIX_MESSAGE_SIZE_LIMIT": "1900000"}, "", 1_200_000, ANNA),
        ({}, MAIN_CF, 3_200_000, f"anna-list@{DOMAIN}"),
    ],
)
def test_what_postfix_accepts_is_delivered(
    start: Start, environment: dict[str, str], main_cf: str, bytes_sent: int, recipient: str
) -> None:
    server = start(ACCOUNTS | {"postfix-main.cf": main_cf}, environment=environment | {"ENABLE_QUOTAS": "1"})
    server.wait_until_up()
    message = letter(recipient, "large", ANNA)
    message["Date"] = "Mon, 01 Jan 2024 12:00:00 +0000"
    message.set_content(("x" * 70 + "\n") * (bytes_sent // 72))
    with server.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [recipient], message.as_bytes())
    server.receive(ANNA, "large")
    limit = int(server.checked("postconf", "-h", "message_size_limit"))
    assert int(server.checked("doveconf", "-h", "quota_mail_size").strip().rstrip("M")) << 20 >= limit
    assert server.checked("doveconf", "-h", "recipient_delimiter").strip() == ("-" if main_cf else "+")
