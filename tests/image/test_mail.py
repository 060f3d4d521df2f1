"""Mail in and out of the running server, and what it refuses."""

import imaplib
import smtplib
import ssl
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, HOSTNAME, PASSWORD, Server, account, letter

ANNA, BOB, CARLA = (f"{name}@{DOMAIN}" for name in ("anna", "bob", "carla"))
KEEPS_SILENT_ABOUT = ("auth", "smtputf8", "dsn")
"""Keywords that port 25 does not offer (behaviour 89)."""


def keywords(smtp: smtplib.SMTP) -> set[str]:
    return {name.lower() for name in smtp.esmtp_features}


@pytest.mark.parametrize("port", [587, 465])
def test_a_submitted_message_arrives(server: Server, port: int) -> None:
    subject = f"submitted through {port}"
    server.send(BOB, subject, port=port, login=ANNA)
    message = server.receive(BOB, subject)
    assert message["From"] == ANNA
    assert message.get_content().strip() == f"This is {subject}."


def test_a_message_from_outside_arrives(server: Server) -> None:
    server.send(ANNA, "from outside")
    assert server.receive(ANNA, "from outside")["Return-Path"] == "<>"


def test_a_tag_leads_to_the_account(server: Server) -> None:
    server.send(f"anna+news@{DOMAIN}", "tagged", port=587, login=BOB)
    assert server.receive(ANNA, "tagged")["Delivered-To"] == f"anna+news@{DOMAIN}"


@pytest.mark.parametrize(
    ("address", "readers"),
    [
        (f"sales@{DOMAIN}", [ANNA, BOB]),
        (f"team-12@{DOMAIN}", [CARLA]),
        (f"backup@{HOSTNAME}", [BOB]),
        ("anybody@second.test", ["dora@second.test"]),
    ],
    ids=["virtual", "regexp", "local", "catch-all"],
)
def test_an_alias_leads_to_its_accounts(server: Server, address: str, readers: list[str]) -> None:
    server.send(address, f"alias {address}", port=587, login=ANNA)
    for reader in readers:
        assert server.receive(reader, f"alias {address}")["To"] == address


def test_an_alias_to_dev_null_discards(server: Server) -> None:
    server.send(f"bin@{DOMAIN}", "discarded", port=587, login=ANNA)
    server.wait_for_line("/var/log/mail/mail.log", "to=<devnull@.*delivered to file: /dev/null")


@pytest.mark.parametrize("port", [587, 465])
def test_a_wrong_password_is_refused_by_submission(server: Server, port: int) -> None:
    with server.smtp(port, starttls=port == 587) as smtp, pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
        smtp.login(ANNA, f"not {PASSWORD}")
    assert refusal.value.smtp_code == 535


def test_a_wrong_password_is_refused_by_imap(server: Server) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"), server.imap(ANNA, f"not {PASSWORD}"):
        pass


def test_an_unknown_recipient_is_refused(server: Server) -> None:
    with server.smtp(25) as smtp:
        smtp.mail("")
        code, text = smtp.rcpt(f"nobody@{DOMAIN}")
    assert code == 550
    assert b"User unknown in virtual mailbox table" in text


def test_relaying_is_refused(server: Server) -> None:
    with server.smtp(25) as smtp:
        smtp.mail("")
        code, text = smtp.rcpt("somebody@elsewhere.invalid")
    assert code in (454, 554)
    assert b"Relay access denied" in text


@pytest.mark.parametrize("port", [587, 465])
def test_submission_without_login_is_refused(server: Server, port: int) -> None:
    with server.smtp(port, starttls=port == 587) as smtp:
        smtp.mail(ANNA)
        code, _ = smtp.rcpt(BOB)
    assert code == 554


def test_port_25_offers_tls_and_no_login(server: Server) -> None:
    with server.smtp(25) as smtp:
        assert "starttls" in keywords(smtp)
        assert not keywords(smtp) & set(KEEPS_SILENT_ABOUT)
        smtp.starttls()
        smtp.ehlo()
        assert not keywords(smtp) & set(KEEPS_SILENT_ABOUT)
        assert smtp.docmd("AUTH PLAIN")[0] == 503


def test_submission_offers_login_only_under_tls(server: Server) -> None:
    with server.smtp(587) as smtp:
        assert "auth" not in keywords(smtp)
        assert smtp.docmd("AUTH PLAIN")[0] in (503, 530)
        assert smtp.docmd("MAIL FROM:<>")[0] == 530
        smtp.starttls()
        smtp.ehlo()
        assert {"auth", "dsn"} <= keywords(smtp)


def test_imap_refuses_login_before_tls(server: Server) -> None:
    with imaplib.IMAP4(server.address, 143, timeout=30) as imap:
        assert {"STARTTLS", "LOGINDISABLED"} <= set(imap.capabilities)
        with pytest.raises(imaplib.IMAP4.error):
            imap.login(ANNA, PASSWORD)


def test_the_users_certificate_is_shown_on_every_port(server: Server) -> None:
    trusting = ssl.create_default_context(cafile=server.config / "ssl" / "demoCA" / "cacert.pem")
    trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT
    shown = set()
    with server.smtp(25) as smtp25, server.smtp(587) as smtp587:
        for smtp in (smtp25, smtp587):
            smtp._host = HOSTNAME  # type: ignore[attr-defined]  # the name to verify; the container has no DNS name
            smtp.starttls(context=trusting)
            assert isinstance(smtp.sock, ssl.SSLSocket)
            shown.add(smtp.sock.getpeercert(binary_form=True))
    for port in (465, 993):
        pem = ssl.get_server_certificate((server.address, port))
        shown.add(ssl.PEM_cert_to_DER_cert(pem))
    own = Path(server.config / "ssl" / f"{HOSTNAME}-cert.pem").read_text()
    assert shown == {ssl.PEM_cert_to_DER_cert(own)}


def test_new_mailboxes_have_their_folders(server: Server) -> None:
    with server.imap(CARLA) as imap:
        listed = b"\n".join(line for line in imap.list()[1] if isinstance(line, bytes))
    for folder in (b"Drafts", b"Junk", b"Trash", b"Sent"):
        assert b"\\" + folder in listed


def test_mail_is_where_docker_mailserver_keeps_it(server: Server) -> None:
    server.send(BOB, "on disk", port=587, login=ANNA)
    server.receive(BOB, "on disk")
    found = server.checked("bash", "-c", f"grep -rl 'Subject: on disk' /var/mail/{DOMAIN}/bob/{{new,cur}}")
    assert server.checked("stat", "--format=%U:%G", found.strip()).strip() == "docker:docker"


def test_deleted_mail_of_a_dbox_gives_its_room_back_at_night(start: Start) -> None:
    server = start(environment={"DOVECOT_MAILBOX_FORMAT": "mdbox"}).wait_until_up()
    server.send(ANNA, "in a box", port=465, login=ANNA)
    server.receive(ANNA, "in a box")
    storage = f"/var/mail/{DOMAIN}/anna/storage"
    assert server.checked("ls", storage).split() == ["dovecot.map.index.log", "m.1"]
    server.checked("doveadm", "expunge", "-u", ANNA, "mailbox", "INBOX", "all")
    job = server.checked("sed", "-n", "s/^38 2 \\* \\* \\* root //p", "/etc/cron.d/dovecot-purge")
    assert server.checked("env", "-i", "PATH=/usr/bin", "sh", "-c", job) == ""
    assert server.checked("ls", storage).split() == ["dovecot.map.index.log"]


def test_users_scripts_run_in_a_dbox_and_beside_one_that_dovecot_would_not_take(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA),
        "before.dovecot.sieve": 'require "editheader";\naddheader "X-Before" "yes";\n',
        f"{ANNA}.dovecot.sieve": 'require ["fileinto", "mailbox"];\nfileinto :create "Mine";\n',
        "postfix-master.cf": "submissions/inet/smtpd_client_restrictions=permit_sasl_authenticated, reject\n",
    }
    server = start(files, environment={"DOVECOT_MAILBOX_FORMAT": "sdbox"}).wait_until_up()
    assert "before.dovecot.sieve:1: Sieve cannot read it, so it is left out" in server.log()
    restrictions = server.checked("postconf", "-Ph", "submissions/inet/smtpd_client_restrictions")
    assert restrictions == "permit_sasl_authenticated,reject\n"
    server.send(ANNA, "for a folder", port=465, login=ANNA)
    server.wait_for_log("stored mail into mailbox 'Mine'")
    server.receive(ANNA, "for a folder", mailbox="Mine")


def test_tls_is_offered_without_a_certificate_of_the_users(open_server: Server) -> None:
    open_server.send(ANNA, "tls all the same", port=587, login=ANNA)
    assert open_server.receive(ANNA, "tls all the same")["From"] == ANNA
    with open_server.smtp(465, login=ANNA) as smtp:
        assert smtp.noop()[0] == 250


def test_without_a_certificate_of_the_users_tls_is_not_required(open_server: Server) -> None:
    with open_server.smtp(587) as smtp:
        smtp.login(ANNA, PASSWORD)
        smtp.sendmail(ANNA, [ANNA], letter(ANNA, "in the clear", ANNA).as_bytes())
    with imaplib.IMAP4(open_server.address, 143, timeout=30) as imap:
        imap.login(ANNA, PASSWORD)
    assert open_server.receive(ANNA, "in the clear")["From"] == ANNA


def test_a_made_certificate_is_warned_about_once(open_server: Server) -> None:
    warnings = [line for line in open_server.log().splitlines() if " WARN " in line and "SSL_TYPE" in line]
    assert len(warnings) == 1
