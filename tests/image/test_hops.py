"""The ways inside the server are not those of the world, and mail arrives as it was sent."""

import os
from collections.abc import Iterator

import pytest

from tests.image.conftest import AT_ONCE, Start
from tests.image.harness import DOMAIN, Containers, Server, account, letter

ANNA, BOB, COPIES, ALIAS = (f"{name}@{DOMAIN}" for name in ("anna", "bob", "copies", "team"))
MAIN_CF = f"""\
always_bcc = {COPIES}
smtp_bind_address = 192.0.2.1
smtp_bind_address6 = 2001:db8::1
smtp_tls_security_level = encrypt
smtp_tls_wrappermode = yes
smtp_sasl_auth_enable = yes
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = static:user:secret
smtp_tls_policy_maps = static:fingerprint
smtp_generic_maps = static:nobody@nowhere.test
smtp_fallback_relay = [192.0.2.2]
smtp_helo_name = elsewhere.test
relayhost = [192.0.2.3]
sender_dependent_relayhost_maps = static:[192.0.2.4]
default_transport = smtp:[192.0.2.5]
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_sender_restrictions = reject_non_fqdn_sender
smtpd_helo_restrictions = permit_sasl_authenticated, reject_unknown_helo_hostname
smtpd_end_of_data_restrictions = check_client_access static:OK
smtpd_recipient_limit = 3
smtpd_client_message_rate_limit = 4
smtpd_client_connection_rate_limit = 100
smtpd_reject_unlisted_sender = yes
smtpd_tls_security_level = encrypt
message_size_limit = 100000
"""
"""What a user may say about mail to and from the world."""
PATCHES = "postconf \"inet_interfaces = 127.0.0.1, $(hostname -i | cut -d' ' -f1)\"\n"


@pytest.fixture(scope="module")
def hops(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {
        "postfix-accounts.cf": "".join(account(address) for address in (ANNA, BOB, COPIES)),
        "postfix-virtual.cf": f"{BOB} {BOB},{ANNA}\n{ALIAS} {BOB}\n",
        "postfix-main.cf": MAIN_CF,
        "user-patches.sh": PATCHES,
        "dovecot.cf": AT_ONCE,
    }
    server = containers.start(files, tmp_path_factory.mktemp("hops"), environment={"SSL_TYPE": ""})
    yield server.wait_until_up()
    server.remove()


def submit(server: Server, recipient: str, message: bytes) -> None:
    with server.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [recipient], message)


def count(server: Server, user: str, subject: str) -> int:
    with server.imap(user) as imap:
        imap.select("INBOX")
        return len(imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split())


def test_amavis_is_reached_whatever_main_cf_says_and_every_copy_comes_once(hops: Server) -> None:
    submit(hops, ALIAS, letter(ALIAS, "through amavis", ANNA).as_bytes())
    for user in (BOB, ANNA, COPIES):
        hops.receive(user, "through amavis")
    hops.until('[ -z "$(postqueue -j)" ]')
    assert {user: count(hops, user, "through amavis") for user in (BOB, ANNA, COPIES)} == {BOB: 1, ANNA: 1, COPIES: 1}
    assert "Passed " in hops.mail_log()


def test_a_message_at_the_limit_passes_with_what_amavis_adds(hops: Server) -> None:
    text = f"From: {ANNA}\r\nTo: {COPIES}\r\nSubject: large\r\nDate: Mon, 01 Jan 2024 12:00:00 +0000\r\n\r\n"
    submit(hops, COPIES, (text + ("x" * 70 + "\r\n") * 1370).encode()[:99_000])
    hops.receive(COPIES, "large")


SIGNED = f"""\
From: {ANNA}
To: {COPIES}
Subject: {{subject}}
Date: Mon, 01 Jan 2024 12:00:00 +0000
User-Agent: Mutt
X-Mailer: me
Message-ID: <outer@client.example.test>
MIME-Version: 1.0
Content-Type: multipart/signed; micalg=pgp-sha256; protocol="application/pgp-signature"; boundary="b"

--b
Content-Type: message/rfc822
Mime-Version: 1.0
X-Mailer: part

Received: from x ([127.0.0.1]) by y with ESMTPSA id 1
From: someone@outside.test
User-Agent: attached
X-Mailer: attached
X-Originating-IP: 192.0.2.7
Message-ID: <inner@outside.test>
Mime-Version: 1.0 (attached)
Subject: attached

Text
--b
Content-Type: application/pgp-signature

(a signature)
--b--
"""


def test_what_is_attached_to_a_submitted_message_is_left_as_it_was(hops: Server) -> None:
    subject = f"signed {os.getpid()}"
    message = SIGNED.format(subject=subject)
    submit(hops, COPIES, message.replace("\n", "\r\n").encode())
    found = hops.receive(COPIES, subject)
    assert found["User-Agent"] is found["X-Mailer"] is None
    assert found["X-MS-Reactions"] == "disallow"
    path = hops.checked("grep", "-rl", f"Subject: {subject}", f"/var/mail/{DOMAIN}/copies").split()[0]
    stored = hops.checked("cat", path)
    assert stored[stored.index("--b\n") :].strip() == message[message.index("--b\n") :].strip()


def test_what_strangers_wrote_is_forwarded_as_it_came(start: Start) -> None:
    """Every header that their signature may cover is there, and none of ways inside this server."""
    files = {
        "postfix-accounts.cf": account(ANNA),
        "postfix-virtual.cf": f"{ALIAS} friend@outside.test\n",
        "postfix-main.cf": "postscreen_greet_wait = 1s\nsmtpd_sender_restrictions =\n"
        "transport_maps = inline:{ outside.test=smtp:[127.0.0.1]:2525 }\n",
        "dovecot.cf": AT_ONCE,
    }
    server = start(files, environment={"ENABLE_OPENDMARC": "0"}).wait_until_up()
    server.checked("sh", "-c", "smtp-sink -u nobody -d /tmp/sink. 127.0.0.1:2525 9 > /dev/null 2>&1 &")
    message = letter(ALIAS, "to be forwarded", "rita@stranger.test")
    theirs = {
        "Date": "Mon, 01 Jan 2024 12:00:00 +0000", "User-Agent": "Mutt", "X-Mailer": "theirs",
        "X-Originating-IP": "192.0.2.7", "X-Enigmail-Version": "1",
    }  # fmt: skip
    for name, value in theirs.items():
        message[name] = value
    message["Received"] = "from a (localhost [127.0.0.1]) by mail.stranger.test (Postfix) with ESMTPSA id 1"
    with server.smtp() as smtp:
        smtp.sendmail("", [ALIAS], message.as_bytes())
    server.until("grep -q 'to be forwarded' /tmp/sink.*")
    found = " ".join(server.checked("sh", "-c", "cat /tmp/sink.*").split())
    for name, value in theirs.items():
        assert f"{name}: {value}" in found
    assert "by mail.stranger.test (Postfix) with ESMTPSA" in found
    assert "by mail.example.test (Postfix)" in found
    assert "127.0.0.1]) by mail.example.test" not in found
    assert "X-MS-Reactions" not in found
