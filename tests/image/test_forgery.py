"""Who a message comes from: DKIM, SPF, DMARC, a name server with the zones; behaviours 90 to 100, 115 to 120."""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, HOSTNAME, PASSWORD, Containers, Server, account, letter
from tests.image.peers import Peer, names, peer

# Not .test for who signs: libunbound, by which OpenDKIM asks, answers for that domain by itself (RFC 6761).
ANNA, BOB = f"anna@{DOMAIN}", f"bob@{DOMAIN}"
WRITER = "writer@outside.example"
MAIN_CF = "postscreen_greet_wait = 2s\nqueue_run_delay = 2s\nminimal_backoff_time = 2s\n"

IMPATIENT = '[health]\ninterval = "1s"\ntimeout = "1s"\n'
"""A milter that hangs is restarted after seconds."""

SPEAKS = """
import smtplib, sys
host, sender, recipient = sys.argv[1:4]
helo = sys.argv[5] if len(sys.argv) > 5 else "peer.outside.example"
text = sys.argv[4].encode()
with smtplib.SMTP(host, 25, helo, timeout=60) as smtp:
    smtp.ehlo()
    try:
        smtp.sendmail(sender, [recipient], text)
        print("accepted")
    except smtplib.SMTPRecipientsRefused as refusal:
        code, answer = refusal.recipients[recipient]
        print(code, answer.decode())
    except smtplib.SMTPResponseException as refusal:
        print(refusal.smtp_code, refusal.smtp_error.decode())
"""
"""Hand in TEXT at HOST from SENDER for RECIPIENT, and say what became of it."""


def key_record(config: Path, domain: str) -> str:
    """Return dnsmasq's option for the key that `setup config dkim` has made: a TXT record of several strings."""
    zone_file = (config / "opendkim" / "keys" / domain / "mail.txt").read_text()
    strings = re.findall(r'"([^"]*)"', zone_file)
    assert strings[0].startswith("v=DKIM1")
    return ",".join([f"txt-record=mail._domainkey.{domain}", *strings])


@pytest.fixture(scope="module")
def outside(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The mail server of outside.example, whose domain has a key."""
    config = tmp_path_factory.mktemp("outside")
    files = {"postfix-accounts.cf": account(WRITER), "postfix-main.cf": MAIN_CF + "smtpd_sender_restrictions =\n"}
    (config / "postfix-accounts.cf").write_text(files["postfix-accounts.cf"])
    made = containers.command("setup", "config", "dkim", "keysize", "2048", "domain", "outside.example", config=config)
    assert made.code == 0, made.output
    server = containers.start(
        files, config, hostname="mail.outside.example", environment={"ENABLE_AMAVIS": "0", "ENABLE_OPENDMARC": "0"}
    )
    yield server.wait_until_up()
    server.remove()


@pytest.fixture(scope="module")
def stranger(containers: Containers) -> Iterator[Peer]:
    """A host that no domain lets send its mail."""
    with peer(containers) as host:
        yield host


@pytest.fixture(scope="module")
def bouncing(containers: Containers) -> Iterator[Peer]:
    """The host of bouncing.example, whose own name (HELO) is all that SPF knows of it."""
    with peer(containers) as host:
        yield host


@pytest.fixture(scope="module")
def zone(containers: Containers, outside: Server, bouncing: Peer) -> Iterator[Peer]:
    records = [
        f"host-record=mail.bouncing.example,{bouncing.address}",
        f"txt-record=mail.bouncing.example,v=spf1 ip4:{bouncing.address} -all",
        "mx-host=bouncing.example,mail.bouncing.example",
        "txt-record=_dmarc.bouncing.example,v=DMARC1; p=reject",
        f"host-record={HOSTNAME},192.0.2.1",
        f"mx-host={DOMAIN},{HOSTNAME}",
        f"host-record=mail.outside.example,{outside.address}",
        key_record(outside.config, "outside.example"),
    ]
    policies = {
        "outside.example": f"v=spf1 ip4:{outside.address} ?all",
        "nomail.test": "v=spf1 -all",
        "strict.test": "",
    }
    for domain, spf in policies.items():
        records += [f"mx-host={domain},mail.outside.example", f"txt-record=_dmarc.{domain},v=DMARC1; p=reject"]
        records += [f"txt-record={domain},{spf}"] if spf else []
    with names(containers, *records) as server:
        yield server


@pytest.fixture(scope="module")
def receiver(
    containers: Containers, zone: Peer, outside: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = containers.start(
        {
            "postfix-accounts.cf": account(ANNA) + account(BOB),
            "postfix-main.cf": MAIN_CF,
            **{f"services/{name}.toml": IMPATIENT for name in ("opendkim", "opendmarc")},
        },
        tmp_path_factory.mktemp("receiver"), environment={"PERMIT_DOCKER": "none"}, options=[f"--dns={zone.address}"],
    )  # fmt: skip
    server.wait_until_up()
    outside.checked("postconf", "-e", f"relayhost = [{server.address}]")
    outside.checked("dmsctl", "reload", "postfix")
    yield server
    server.remove()


def dated(recipient: str, subject: str, author: str) -> EmailMessage:
    message = letter(recipient, subject, author)
    message["Date"] = "Mon, 01 Jan 2024 12:00:00 +0000"
    return message


def text(recipient: str, subject: str, author: str) -> str:
    return dated(recipient, subject, author).as_bytes(policy=SMTP).decode()


def results(message: EmailMessage) -> str:
    return " ".join(" ".join(message.get_all("Authentication-Results", [])).split())


def test_signed_mail_passes_all_three(receiver: Server, outside: Server) -> None:
    with outside.smtp(465, login=WRITER) as smtp:
        smtp.sendmail(WRITER, [ANNA], dated(ANNA, "signed", WRITER).as_bytes())
    message = receiver.receive(ANNA, "signed")
    assert "d=outside.example; s=mail;" in " ".join(str(message["DKIM-Signature"]).split())
    found = results(message)
    assert f"{HOSTNAME};" in found
    assert "dkim=pass" in found
    assert "dmarc=pass (p=reject dis=none) header.from=outside.example" in found
    assert str(message["Received-SPF"]).startswith("Pass")


def test_a_changed_message_of_a_strict_domain_is_refused(receiver: Server, outside: Server, stranger: Peer) -> None:
    with outside.smtp(465, login=WRITER) as smtp:
        smtp.sendmail(WRITER, [BOB], dated(BOB, "to be changed", WRITER).as_bytes())
    signed = receiver.receive(BOB, "to be changed")
    changed = signed.as_bytes(policy=SMTP).decode().replace("This is to be changed.", "This is changed.")
    answer = stranger.python(SPEAKS, receiver.address, WRITER, ANNA, changed)
    assert re.match(r"5\d\d .*rejected by DMARC policy for outside.example", answer)


def test_a_forged_author_is_refused_and_an_unknown_one_is_not(receiver: Server, stranger: Peer) -> None:
    forged = text(ANNA, "forged", "boss@strict.test")
    answer = stranger.python(SPEAKS, receiver.address, "boss@strict.test", ANNA, forged)
    assert re.match(r"5\d\d .*rejected by DMARC policy for strict.test", answer)
    plain = text(ANNA, "of nobody", "someone@mail.outside.example")
    assert stranger.python(SPEAKS, receiver.address, "", ANNA, plain) == "accepted"
    receiver.receive(ANNA, "of nobody")
    assert receiver.run("grep", "-rq", "Subject: forged", "/var/mail").code == 1


HEAD = f"To: {ANNA}\r\nDate: Mon, 01 Jan 2024 12:00:00 +0000\r\nMessage-ID: <1@peer>\r\n"
SEVERAL_AUTHORS = (
    "From: someone@mail.outside.example, boss@strict.test\r\n",
    "From: Some One <someone@mail.outside.example>,\r\n The Boss <boss@strict.test>\r\n",
    "From: People: someone@mail.outside.example, boss@strict.test;\r\n",
    "From: someone@mail.outside.example\r\nFrom: boss@strict.test\r\n",
)
SLOPPY_AUTHORS = (
    '"Writer, Some" <someone@mail.outside.example>',
    "Writer, Some <someone@mail.outside.example>",
    "Some Writer someone@mail.outside.example <someone@mail.outside.example>",
    "boss@strict.test via Writer <someone@mail.outside.example>",
    "=?utf-8?q?S=C3=B8me=2C_Writer?= <someone@mail.outside.example>",
    "=?utf-8?q?boss=40strict=2Etest=2C?= <someone@mail.outside.example>",
    "<someone@mail.outside.example> (Writer, Some)",
    "someone@mail.outside.example, another@mail.outside.example",
    "someone@mail.outside.example",
)


@pytest.mark.parametrize("authors", SEVERAL_AUTHORS)
def test_more_than_one_author_is_refused(receiver: Server, stranger: Peer, authors: str) -> None:
    answer = stranger.python(SPEAKS, receiver.address, "", ANNA, f"{authors}{HEAD}Subject: two\r\n\r\nx\r\n")
    assert re.match(r"5\d\d ", answer), answer


@pytest.mark.parametrize("author", SLOPPY_AUTHORS)
def test_sloppy_but_honest_authors_are_taken(receiver: Server, stranger: Peer, author: str) -> None:
    message = f"From: {author}\r\nTo: {ANNA}\r\nSubject: sloppy\r\n\r\nx\r\n"
    assert stranger.python(SPEAKS, receiver.address, "", ANNA, message) == "accepted"


def test_a_bounce_with_an_aligned_helo_passes(receiver: Server, bouncing: Peer) -> None:
    author = "MAILER-DAEMON@bouncing.example"
    answer = bouncing.python(SPEAKS, receiver.address, "", BOB, text(BOB, "a bounce", author), "mail.bouncing.example")
    assert answer == "accepted"
    assert "dmarc=pass (p=reject dis=none) header.from=bouncing.example" in results(receiver.receive(BOB, "a bounce"))


def test_a_sender_that_its_domain_does_not_allow_is_refused(receiver: Server, stranger: Peer) -> None:
    answer = stranger.python(
        SPEAKS, receiver.address, "x@nomail.test", ANNA, text(ANNA, "not allowed", "x@nomail.test")
    )
    assert re.match(r"550 .*Message rejected due to: SPF fail", answer)


def test_users_of_this_server_are_not_judged(receiver: Server) -> None:
    with receiver.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [BOB], dated(BOB, "for strict", "boss@strict.test").as_bytes())
    assert receiver.receive(BOB, "for strict")["From"] == "boss@strict.test"


@pytest.mark.parametrize("milter", ["opendkim", "opendmarc"])
def test_without_a_milter_mail_has_to_come_again(receiver: Server, stranger: Peer, milter: str) -> None:
    message = text(ANNA, f"without {milter}", "someone@outside.example")
    receiver.checked("dmsctl", "stop", milter)
    answer = stranger.python(SPEAKS, receiver.address, "someone@outside.example", ANNA, message)
    assert re.match(r"4\d\d ", answer), answer
    receiver.checked("dmsctl", "start", milter)
    refused = stranger.python(SPEAKS, receiver.address, "someone@outside.example", ANNA, message)
    assert "rejected by DMARC policy" in refused


@pytest.mark.parametrize("milter", ["opendkim", "opendmarc"])
def test_while_a_milter_hangs_nothing_passes_and_then_it_is_restarted(
    receiver: Server, outside: Server, milter: str
) -> None:
    before = receiver.services()[milter]
    receiver.checked("kill", "-STOP", str(before["pid"]))
    with outside.smtp(465, login=WRITER) as smtp:
        smtp.sendmail(WRITER, [ANNA], dated(ANNA, f"while {milter} hangs", WRITER).as_bytes())
    assert "dmarc=pass" in results(receiver.receive(ANNA, f"while {milter} hangs"))
    assert receiver.services()[milter]["restarts"] == before["restarts"] + 1


def test_who_may_use_which_address(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA) + account(BOB),
        "postfix-virtual.cf": f"sales@{DOMAIN} {BOB}\n",
        "postfix-regexp.cf": rf"/^qa[0-9]+@example\.test$/ {BOB}" + "\n",
    }
    server = start(files, environment={"SPOOF_PROTECTION": "1"}).wait_until_up()
    with server.smtp(465) as smtp:
        smtp.login(BOB, PASSWORD)
        for sender in (BOB, f"sales@{DOMAIN}", f"qa7@{DOMAIN}"):
            assert smtp.mail(sender)[0] == 250
            assert smtp.rcpt(ANNA)[0] == 250, sender
            smtp.rset()
        for sender in (ANNA, f"bob+tag@{DOMAIN}", "someone@elsewhere.test"):
            smtp.mail(sender)
            code, answer = smtp.rcpt(ANNA)
            assert code == 553, sender
            assert b"Sender address rejected: not owned by user" in answer
            smtp.rset()


def test_without_protection_any_sender_is_taken(server: Server) -> None:
    with server.smtp(465, login=BOB) as smtp:
        smtp.mail(ANNA)
        assert smtp.rcpt(BOB)[0] == 250


def test_delivery_notices_for_users_only(server: Server) -> None:
    with server.smtp(25) as smtp:
        assert not smtp.has_extn("dsn")
    with server.smtp(465, login=ANNA) as smtp:
        assert smtp.has_extn("dsn")
        smtp.sendmail(ANNA, [BOB], letter(BOB, "with a notice", ANNA).as_bytes(), rcpt_options=["NOTIFY=SUCCESS"])
    assert "MAILER-DAEMON@" in server.receive(ANNA, "Successful Mail Delivery Report")["From"]


def test_mail_of_users_says_nothing_about_their_devices(server: Server) -> None:
    message = dated(BOB, "private", ANNA)
    for name in ("User-Agent", "X-Mailer", "X-Originating-IP", "X-Enigmail"):
        message[name] = "secret 1"
    with server.smtp(587, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [BOB], message.as_bytes())
    received = server.receive(BOB, "private")
    assert "secret 1" not in str(received)
    assert "ESMTPSA" not in str(received)
    assert received["X-MS-Reactions"] == "disallow"
    assert received.get_content().strip() == "This is private."


def hand_in_raw(server: Server, text: str) -> tuple[int, bytes]:
    """Send the text of a message as it is, and return the answer to its end."""
    with server.smtp(25) as smtp:
        smtp.mail("")
        smtp.rcpt(ANNA)
        assert smtp.docmd("DATA")[0] == 354
        smtp.send(text.encode() + b"\r\n.\r\n")
        answer = smtp.getreply()
        assert smtp.noop() == (250, b"2.0.0 Ok")
        return answer


def test_a_bare_newline_ends_no_message(server: Server) -> None:
    """A message cannot smuggle in another one behind a dot between bare newlines, which are mended."""
    smuggled = f"MAIL FROM:<>\nRCPT TO:<{ANNA}>\nDATA\nSubject: smuggled\n\nits text"
    assert hand_in_raw(server, f"Subject: outer\r\n\r\ntext\n.\n{smuggled}")[0] == 250
    assert "DATA\r\nSubject: smuggled" in server.receive(ANNA, "outer").get_content()
    with server.imap(ANNA) as imap:
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", "smuggled")[1] == [b""]
