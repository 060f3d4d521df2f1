"""ENABLE_OAUTH2 with an introspection endpoint that knows three tokens."""

import base64
import imaplib
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.harness import DOMAIN, PATIENCE_SECONDS, Containers, Server, account, untrusting

ANNA, GHOST = f"anna@{DOMAIN}", f"ghost@{DOMAIN}"
ENDPOINT = """
import http.server, json, sys
USERS = {"annas": "anna@example.test", "ghosts": "ghost@example.test"}

class Introspection(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        user = USERS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        body = json.dumps({"email": user} if user else {"error": "invalid_token"}).encode()
        self.send_response(200 if user else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", 8000), Introspection).serve_forever()
"""
SERVICE = """
command = ["/usr/bin/python3", "/tmp/docker-mailserver/introspection.py"]
[ready]
probe = "tcp"
address = "inet:127.0.0.1:8000"
"""


@pytest.fixture(scope="module")
def server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {
        "postfix-accounts.cf": account(ANNA), "introspection.py": ENDPOINT, "services/introspection.toml": SERVICE,
        "dovecot.cf": "auth_failure_delay = 0\n",
    }  # fmt: skip
    environment = {
        "ENABLE_OAUTH2": "1", "OAUTH2_INTROSPECTION_URL": "http://127.0.0.1:8000/userinfo", "ENABLE_AMAVIS": "0",
    }  # fmt: skip
    config: Path = tmp_path_factory.mktemp("oauth2")
    server = containers.start(files, config, environment=environment).wait_until_up()
    yield server
    server.remove()


def bearer(mechanism: str, user: str, token: str) -> bytes:
    """RFC 7628 section 3.1, and what Google's XOAUTH2 made of it before."""
    head = f"n,a={user},\1host=mail.example.test\1port=993\1" if mechanism == "OAUTHBEARER" else f"user={user}\1"
    return f"{head}auth=Bearer {token}\1\1".encode()


def imap_login(server: Server, mechanism: str, user: str, token: str) -> None:
    imap = imaplib.IMAP4_SSL(server.address, 993, ssl_context=untrusting(), timeout=PATIENCE_SECONDS)
    try:
        imap.authenticate(mechanism, lambda _: bearer(mechanism, user, token))
    finally:
        imap.shutdown()


def submit(server: Server, mechanism: str, user: str, token: str) -> tuple[int, bytes]:
    """Log in on 465 and return the answer to the first recipient, or to the login when that fails."""
    with smtplib.SMTP_SSL(server.address, 465, context=untrusting(), timeout=PATIENCE_SECONDS) as smtp:
        smtp.ehlo("client.example.test")
        initial = base64.b64encode(bearer(mechanism, user, token)).decode()
        code, reply = smtp.docmd("AUTH", f"{mechanism} {initial}")
        if code == 334:  # the reason, which the client has to confirm
            code, reply = smtp.docmd("AQ==")
        if code != 235:
            return code, reply
        smtp.mail(user)
        return smtp.rcpt(ANNA)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_good_token_logs_in(server: Server, mechanism: str) -> None:
    imap_login(server, mechanism, ANNA, "annas")
    assert submit(server, mechanism, ANNA, "annas")[0] == 250


@pytest.mark.parametrize(("user", "token"), [(ANNA, "stolen"), (f"bob@{DOMAIN}", "annas")])
def test_a_bad_or_foreign_token_does_not(server: Server, user: str, token: str) -> None:
    with pytest.raises(imaplib.IMAP4.error):
        imap_login(server, "XOAUTH2", user, token)
    assert submit(server, "XOAUTH2", user, token)[0] == 535


def test_a_token_of_somebody_without_an_account_is_of_no_use(server: Server) -> None:
    with pytest.raises(imaplib.IMAP4.error):
        imap_login(server, "XOAUTH2", GHOST, "ghosts")
    code, reply = submit(server, "XOAUTH2", GHOST, "ghosts")
    assert code == 554
    assert b"has no mailbox here" in reply


def test_passwords_still_work_and_no_fallback_is_tried(server: Server) -> None:
    server.send(ANNA, "by password", port=465, login=ANNA)
    server.receive(ANNA, "by password")
    imap_login(server, "XOAUTH2", ANNA, "annas")
    log = server.mail_log()
    assert "Password mismatch" not in log
