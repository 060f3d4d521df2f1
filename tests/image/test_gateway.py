"""What stands at the gate: block lists, greylisting, SRS for forwarded mail, MTA-STS for mail that leaves."""

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, HOSTNAME, Containers, Server, account, letter
from tests.image.peers import Peer, names, peer

ANNA, BOB = f"anna@{DOMAIN}", f"bob@{DOMAIN}"
FRIEND, WRITER = "friend@outside.test", "writer@outside.test"
MAIN_CF = (
    "postscreen_greet_wait = 2s\nsmtpd_authorized_xclient_hosts = 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16\n"
    "queue_run_delay = 2s\nminimal_backoff_time = 2s\n"
)
"""Impatient, and open to clients that say whom they speak for (XCLIENT)."""

POLICY_HOST = """
import http.server, ssl, subprocess
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
     "-subj", "/CN=mta-sts.strict.test", "-addext", "subjectAltName=DNS:mta-sts.strict.test",
     "-keyout", "/tmp/key.pem", "-out", "/tmp/cert.pem"], check=True, capture_output=True)
class Policy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"version: STSv1\\r\\nmode: enforce\\r\\nmx: mx.strict.test\\r\\nmax_age: 86400\\r\\n"
        self.send_response(200 if self.path == "/.well-known/mta-sts.txt" else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/cert.pem", "/tmp/key.pem")
server = http.server.HTTPServer(("", 443), Policy)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
"""A web server that has an MTA-STS policy (RFC 8461) for strict.test, with a certificate in /tmp/cert.pem."""

SPEAKS = """
import smtplib, sys
with smtplib.SMTP(sys.argv[1], 25, "peer.outside.test", timeout=30) as smtp:
    smtp.ehlo()
    try:
        smtp.sendmail("", [sys.argv[2]], b"Subject: from a peer\\r\\n\\r\\ntext\\r\\n")
        print("accepted")
    except smtplib.SMTPRecipientsRefused as refusal:
        code, text = refusal.recipients[sys.argv[2]]
        print(code, text.decode())
    except smtplib.SMTPResponseException as refusal:
        print(refusal.smtp_code, refusal.smtp_error.decode())
"""
"""Hand in a message at HOST for RECIPIENT, and say what became of it."""


TALKS_EARLY = """
import socket, sys
with socket.create_connection((sys.argv[1], 25), timeout=30) as server, server.makefile("r") as answers:
    server.sendall(b"EHLO early.outside.test\\r\\n")
    for command in (b"MAIL FROM:<>\\r\\n", b"RCPT TO:<bob@example.test>\\r\\n", b"QUIT\\r\\n"):
        server.sendall(command)
    lines = answers.read().splitlines()
print(lines[0])
print(next((line for line in lines if line.startswith("5")), "nothing"))
"""
"""Speak to HOST before it has greeted; print its first line and the first refusal."""


@pytest.fixture(scope="module")
def outside(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The mail server of outside.test."""
    files = {"postfix-accounts.cf": account(FRIEND) + account(WRITER) + account("all@strict.test")}
    files["postfix-main.cf"] = MAIN_CF + "smtpd_sender_restrictions =\n"  # it starts before there is a name server
    server = containers.start(
        files, tmp_path_factory.mktemp("outside"), hostname="mail.outside.test",
        environment={"ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0", "ENABLE_POLICYD_SPF": "0", "ENABLE_AMAVIS": "0"},
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


@pytest.fixture(scope="module")
def hosts(containers: Containers) -> Iterator[tuple[Peer, Peer, Peer]]:
    """A host on a block list, one that is trusted, and one with the policy of strict.test."""
    with peer(containers) as listed, peer(containers) as trusted, peer(containers, "python3", "-c", POLICY_HOST) as web:
        yield listed, trusted, web


@pytest.fixture(scope="module")
def zone(containers: Containers, outside: Server, hosts: tuple[Peer, Peer, Peer]) -> Iterator[Peer]:
    listed, _, web = hosts
    records = (
        f"host-record={listed.reverse}.zen.spamhaus.org,127.0.0.4",
        "mx-host=outside.test,mail.outside.test",
        f"host-record=mail.outside.test,{outside.address}",
        f"mx-host={DOMAIN},{HOSTNAME}",
        "mx-host=strict.test,mx.strict.test",
        f"host-record=mx.strict.test,{outside.address}",
        f"host-record=mta-sts.strict.test,{web.address}",
        "txt-record=_mta-sts.strict.test,v=STSv1; id=1;",
    )
    with names(containers, *records) as server:
        yield server


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state volume of a release that kept the secret of SRS elsewhere."""
    state = tmp_path_factory.mktemp("state")
    former = state / "etc-postsrsd" / "postsrsd.secret"
    former.parent.mkdir()
    former.write_text("c2VjcmV0IG9mIG9sZA==\n")
    return state


@pytest.fixture(scope="module")
def gate(
    containers: Containers, zone: Peer, hosts: tuple[Peer, Peer, Peer], state: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:  # fmt: skip
    _, trusted, web = hosts
    files = {
        "postfix-accounts.cf": account(ANNA) + account(BOB),
        "postfix-virtual.cf": f"away@{DOMAIN} {FRIEND}\n",
        "postfix-main.cf": MAIN_CF,
        "whitelist_clients.local": f"{trusted.address}\n",
        "whitelist_recipients": "bob@\naway@\n/^SRS0=/\n",
        "services/mta-sts-daemon.toml": '[env]\nSSL_CERT_FILE = "/tmp/docker-mailserver/web.pem"\n',
        "web.pem": web.run("cat", "/tmp/cert.pem").output,
    }
    environment = {
        "ENABLE_DNSBL": "1", "ENABLE_POSTGREY": "1", "POSTGREY_DELAY": "2", "POSTGREY_TEXT": "Come again, stranger",
        "ENABLE_SRS": "1", "ENABLE_MTA_STS": "1", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0",
        "ENABLE_POLICYD_SPF": "0", "ENABLE_AMAVIS": "0", "PERMIT_DOCKER": "none",
    }  # fmt: skip
    server = containers.start(
        files, tmp_path_factory.mktemp("gate"), environment=environment,
        options=[f"--dns={zone.address}", "--volume", f"{state}:/var/mail-state"],
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


def test_a_client_on_a_block_list_is_refused_and_others_are_not(gate: Server, hosts: tuple[Peer, Peer, Peer]) -> None:
    listed, trusted, _ = hosts
    answer = listed.python(SPEAKS, gate.address, BOB)
    assert answer.startswith("550 5.7.1 Service unavailable; client [")
    assert "blocked using zen.spamhaus.org" in answer
    assert trusted.python(SPEAKS, gate.address, BOB) == "accepted"
    assert gate.checked("postconf", "-h", "postscreen_dnsbl_action").strip() == "enforce"


def test_who_speaks_before_the_greeting_is_refused(containers: Containers, gate: Server) -> None:
    with peer(containers) as talker:
        teaser, *_, answer = talker.python(TALKS_EARLY, gate.address).splitlines()
    assert teaser == f"220-{HOSTNAME} ESMTP"
    assert answer.startswith("550 5.5.1 Protocol error")


def test_a_stranger_has_to_come_again(gate: Server, hosts: tuple[Peer, Peer, Peer]) -> None:
    def hand_in() -> tuple[int, bytes]:
        with gate.smtp() as smtp:
            smtp.mail("")
            return smtp.rcpt(ANNA)

    code, text = hand_in()
    assert code == 450
    assert b"Come again, stranger" in text
    while (answer := hand_in()) == (code, text):
        pass
    assert answer[0] == 250
    # Whom an administrator trusts need not come again, and who gets mail at once gets it at once.
    assert hosts[1].python(SPEAKS, gate.address, ANNA) == "accepted"
    gate.send(BOB, "at once")
    assert gate.receive(BOB, "at once")
    log = gate.checked("cat", "/var/log/supervisor/postgrey.log")
    assert re.search(r"action=greylist, reason=new, client_name=.*recipient=anna@example\.test", log)
    assert "action=pass, reason=triplet found" in log
    assert "action=pass, reason=client whitelist" in log
    assert "action=pass, reason=recipient whitelist" in log
    assert "attribute missing" not in log


def test_forwarded_mail_leaves_under_our_name_and_its_bounce_finds_the_writer(
    gate: Server, outside: Server, state: Path
) -> None:
    subject = "forwarded"
    with gate.smtp() as smtp:
        smtp.sendmail(WRITER, [f"away@{DOMAIN}"], letter(f"away@{DOMAIN}", subject, WRITER).as_bytes())
    rewritten = outside.receive(FRIEND, subject)["Return-Path"].strip("<>")
    assert re.fullmatch(r"SRS0=[^=]{4}=[^=]+=outside\.test=writer@example\.test", rewritten)
    assert (state / "etc/postsrsd.secret").read_text() == "c2VjcmV0IG9mIG9sZA==\n"
    # A bounce to that address goes on to the writer; a forged one goes nowhere.
    with gate.smtp() as smtp:
        smtp.sendmail("", [rewritten], letter(rewritten, "it bounced", "postmaster@outside.test").as_bytes())
    assert outside.receive(WRITER, "it bounced")
    forged = rewritten.replace(rewritten[5:9], "AAAA")
    with gate.smtp() as smtp, pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        smtp.sendmail("", [forged], b"Subject: forged\r\n\r\n")
    assert refusal.value.recipients[forged][0] == 550
    # Own users' mail keeps its sender.
    gate.send(FRIEND, "from a user", port=587, login=ANNA)
    assert outside.receive(FRIEND, "from a user")["Return-Path"] == f"<{ANNA}>"


def test_a_domain_that_wants_verified_tls_gets_it_or_nothing(gate: Server) -> None:
    table = "socketmap:unix:/var/run/mta-sts/daemon.sock:postfix"
    assert gate.checked("postmap", "-q", "strict.test", table).startswith("secure match=mx.strict.test")
    assert gate.run("postmap", "-q", "outside.test", table).code == 1
    gate.send("all@strict.test", "unverified", port=587, login=ANNA)
    gate.wait_for_line(
        "/var/log/mail/mail.log", "to=<all@strict.test>,.*status=deferred .*Server certificate not (trusted|verified)"
    )


def test_all_of_them_are_asked_and_answer(gate: Server) -> None:
    services = gate.services()
    for name in ("postgrey", "postsrsd", "mta-sts-daemon"):
        assert services[name]["state"] == "ready"
    log = gate.mail_log()
    assert "Connection refused" not in log
    assert "dmsinit-probe" not in log, "health probes are noise"


@pytest.mark.parametrize("name", ["postgrey", "postsrsd"])
def test_one_that_hangs_is_restarted_and_mail_goes_on(start: Start, name: str, zone: Peer) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA), "postfix-main.cf": f"{MAIN_CF}smtpd_policy_service_timeout = 2s\n",
        "whitelist_recipients": "anna@\n",
        f"services/{name}.toml": '[health]\ninterval = "1s"\ntimeout = "1s"\nfailures = 1\n',
    }  # fmt: skip
    server = start(
        files, environment={"ENABLE_POSTGREY": "1", "ENABLE_SRS": "1", "ENABLE_AMAVIS": "0", "PERMIT_DOCKER": "none"},
        options=[f"--dns={zone.address}"],
    ).wait_until_up()  # fmt: skip
    hung = server.pids()[name]
    server.checked("kill", "-STOP", str(hung))
    server.wait_for_log(f"{name} is restarted: 1 health probes in a row failed")
    while server.pids()[name] in (hung, None):
        pass
    server.send(ANNA, "after it hung")
    assert server.receive(ANNA, "after it hung")
