"""Rspamd instead of Amavis and the rest: what it does with real mail, how it learns, and what happens without it."""

import imaplib
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, Server, account, letter
from tests.image.peers import Peer, names
from tests.image.sieve import managesieve
from tests.image.test_forgery import SEVERAL_AUTHORS, SLOPPY_AUTHORS

ANNA, BOB = f"anna@{DOMAIN}", f"bob@{DOMAIN}"
OUTSIDE = "rita@outside.test"
RSPAMD = {
    "ENABLE_RSPAMD": "1", "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0",
    "ENABLE_POLICYD_SPF": "0", "PERMIT_DOCKER": "none",
}  # fmt: skip
ACCOUNTS = {"postfix-accounts.cf": account(ANNA) + account(BOB)}
MAIN_CF = (
    "postscreen_greet_wait = 1s\nmilter_connect_timeout = 2s\nmilter_command_timeout = 2s\n"
    "smtpd_authorized_xclient_hosts = 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16\n"
)
"""Impatient, and open to clients that say whom they speak for (XCLIENT)."""
GTUBE = "*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""Behind X: reject; behind Y: add the header (GTUBE, https://spamassassin.apache.org/gtube/)."""
SIEVE = f"""require ["vacation"];
if header "subject" "are you there" {{ vacation "away"; }}
if header "subject" "pass it on" {{ redirect "{BOB}"; }}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


@pytest.fixture(scope="module")
def record(containers: Containers, config: Path) -> str:
    """A key that signs for DOMAIN, made without a server; the text for the DNS."""
    made = containers.command(
        "setup", "config", "dkim", "keysize", "1024", "domain", DOMAIN, config=config,
        options=["--env=ENABLE_RSPAMD=1", "--env=ENABLE_OPENDKIM=0"],
    )  # fmt: skip
    assert made.code == 0, made.output
    return next(line for line in made.output.splitlines() if line.startswith("v=DKIM1"))


@pytest.fixture(scope="module")
def zone(containers: Containers, record: str) -> Iterator[Peer]:
    records = (
        f"txt-record=mail._domainkey.{DOMAIN},{record}",
        f"mx-host={DOMAIN},mail.{DOMAIN}",
        "mx-host=outside.test,mail.outside.test",
        "host-record=mail.outside.test,192.0.2.9",
        "txt-record=outside.test,v=spf1 ip4:192.0.2.9 -all",
    )
    with names(containers, *records) as server:
        yield server


@pytest.fixture(scope="module")
def rspamd(containers: Containers, config: Path, zone: Peer) -> Iterator[Server]:
    files = {
        **ACCOUNTS,
        "postfix-main.cf": MAIN_CF,
        "rspamd/override.d/options.inc": 'gtube_patterns = "all";\n',
        "rspamd/custom-commands.conf": "set-option-for-module greylist timeout 7min\nfrobnicate x\n",
        f"{ANNA}.dovecot.sieve": SIEVE,
    }
    environment = {
        **RSPAMD, "RSPAMD_LEARN": "1", "ENABLE_MANAGESIEVE": "1", "SPAM_SUBJECT": "'[SPAM] '",
        "CLAMAV_MESSAGE_SIZE_LIMIT": "42M",
        "RSPAMD_HFILTER_HOSTNAME_UNKNOWN_SCORE": "7",
    }  # fmt: skip
    server = containers.start(files, config, environment=environment, options=[f"--dns={zone.address}"])
    yield server.wait_until_up()
    server.remove()


def deliver(server: Server, message: EmailMessage | str, recipient: str = ANNA, sender: str = OUTSIDE) -> None:
    """Hand a message in at port 25, as the server of outside.test would."""
    with server.smtp() as smtp:
        assert smtp.docmd("XCLIENT", "NAME=mail.outside.test ADDR=192.0.2.9")[0] == 220
        smtp.ehlo("mail.outside.test")
        smtp.sendmail(sender, [recipient], message if isinstance(message, str) else message.as_bytes())


def spam(kind: str, subject: str) -> EmailMessage:
    message = letter(ANNA, subject, OUTSIDE)
    message.set_content(f"Buy now: {kind}JS{GTUBE}\n")
    return message


def dump(server: Server, section: str) -> str:
    return server.checked("rspamadm", "configdump", section)


def test_the_thresholds(rspamd: Server) -> None:
    actions = dump(rspamd, "actions")
    assert "greylist = 4;" in actions
    assert "add_header = 6;" in actions
    assert "reject = 11;" in actions
    assert "rewrite_subject = null" in actions or "rewrite_subject" not in actions


@pytest.mark.parametrize(
    "module", ["clickhouse", "elastic", "reputation", "spamassassin", "url_redirector", "metric_exporter", "neural"]
)
def test_modules_that_are_off(rspamd: Server, module: str) -> None:
    assert "enabled = false;" in dump(rspamd, module)


def test_settings_reach_rspamd(rspamd: Server) -> None:
    assert "max_size = 42000000;" in dump(rspamd, "antivirus")
    unknown = dump(rspamd, "group").partition("HFILTER_HOSTNAME_UNKNOWN {")[2].partition("}")[0]
    assert "weight = 7;" in unknown
    assert 'bind_socket = "127.0.0.1:11332";' in dump(rspamd, "worker")
    assert "timeout = 420.0;" in dump(rspamd, "greylist") or "timeout = 7min;" in dump(rspamd, "greylist")
    assert "rspamd/custom-commands.conf:2: is not a command: frobnicate" in rspamd.log()


def test_spam_is_refused(rspamd: Server) -> None:
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        deliver(rspamd, spam("X", "gtube"))
    assert refusal.value.smtp_code == 554
    assert b"Gtube pattern" in refusal.value.smtp_error


def test_likely_spam_is_filed_into_junk(rspamd: Server) -> None:
    deliver(rspamd, spam("Y", "perhaps spam"))
    received = rspamd.receive(ANNA, "perhaps spam", "Junk")
    assert received["X-Spam"] == "Yes"
    assert received["Subject"] == "[SPAM] perhaps spam"


def test_ordinary_mail_has_its_result(rspamd: Server) -> None:
    deliver(rspamd, letter(ANNA, "ordinary", OUTSIDE))
    received = rspamd.receive(ANNA, "ordinary")
    assert "X-Spam" not in received
    result = received["X-Spamd-Result"]
    assert result.startswith("default: False [")
    assert "R_SPF_ALLOW(-1.00)" in result
    assert "R_DKIM_NA(1.00)" in result


def test_mail_of_users_is_signed_and_not_judged(rspamd: Server) -> None:
    rspamd.send(BOB, "signed", port=587, login=ANNA)
    received = rspamd.receive(BOB, "signed")
    signature = received["DKIM-Signature"].replace("\r\n", "")
    assert f"d={DOMAIN};" in signature
    assert "s=mail;" in signature
    scanned = rspamd.checked("rspamc", "--user", ANNA, "--ip", "192.0.2.1", "/dev/stdin")
    assert "HFILTER" not in scanned
    # The signature holds: the key is in the DNS.
    verified = rspamd.run("rspamc", "--ip", "192.0.2.1", stdin=received.as_bytes().decode())
    assert "R_DKIM_ALLOW" in verified.output


@pytest.mark.parametrize("authors", SEVERAL_AUTHORS)
def test_more_than_one_author_is_refused(rspamd: Server, authors: str) -> None:
    text = f"{authors}To: {ANNA}\r\nSubject: two\r\n\r\nx\r\n"
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        deliver(rspamd, text)
    assert refusal.value.smtp_code == 554
    assert b"From" in refusal.value.smtp_error


@pytest.mark.parametrize("author", SLOPPY_AUTHORS)
def test_sloppy_but_honest_authors_are_taken(rspamd: Server, author: str) -> None:
    deliver(rspamd, f"From: {author}\r\nTo: {ANNA}\r\nSubject: sloppy\r\n\r\nx\r\n")


def test_what_this_server_writes_itself_is_signed_and_not_judged(rspamd: Server) -> None:
    rspamd.send(f"unknown@{DOMAIN}", "comes back", port=465, login=ANNA)
    rspamd.send(ANNA, "are you there", port=465, login=BOB)
    written = f"From: root@mail.{DOMAIN}\nTo: {BOB}\nSubject: report\n\nx\n"
    assert rspamd.run("sendmail", "-f", ANNA, BOB, stdin=written).code == 0
    bounce = rspamd.receive(ANNA, "Undelivered Mail Returned to Sender")
    answer, report = rspamd.receive(BOB, "Auto: are you there"), rspamd.receive(BOB, "report")
    for message in (bounce, answer, report):
        assert f"d={DOMAIN};" in message["DKIM-Signature"]
        assert "X-Spamd-Result" not in message


def test_what_a_script_forwards_is_not_signed_as_ours(rspamd: Server) -> None:
    deliver(rspamd, letter(ANNA, "pass it on", f"boss@{DOMAIN}"))
    forwarded = rspamd.receive(BOB, "pass it on")
    assert "Received" in forwarded
    assert "DKIM-Signature" not in forwarded


def learned(server: Server) -> tuple[int, int]:
    """Return how many messages count as spam and as good mail."""
    counters = server.checked("redis-cli", "HMGET", "RS", "learns_spam", "learns_ham").split("\n")
    spam_count, ham_count = (int(counter or 0) for counter in counters[:2])
    return spam_count, ham_count


def test_moving_mail_teaches(rspamd: Server) -> None:
    message = letter(BOB, "to be learned", OUTSIDE)
    message.set_content(
        "The quick brown fox jumps over the lazy dog, while many different words make this long enough.\n"
    )
    deliver(rspamd, message, BOB)
    rspamd.receive(BOB, "to be learned")
    assert learned(rspamd) == (0, 0)
    with rspamd.imap(BOB) as imap:
        move(imap, "INBOX", "Junk")
        assert learned(rspamd) == (1, 0)
        move(imap, "Junk", "INBOX")
        assert learned(rspamd) == (0, 1)
        # What is thrown away is not thereby called good mail.
        move(imap, "INBOX", "Junk")
        move(imap, "Junk", "Trash")
        assert learned(rspamd) == (1, 0)


def move(imap: imaplib.IMAP4, source: str, target: str) -> None:
    imap.select(source)
    numbers = imap.search(None, "SUBJECT", '"to be learned"')[1][0].split()
    assert numbers
    answer = imap._simple_command("MOVE", numbers[-1].decode(), target)  # imaplib has no MOVE
    assert answer[0] == "OK"


ATTACK = """require ["vnd.dovecot.pipe", "copy"];
pipe :copy "rspamc" ["-h", "127.0.0.1:11334", "-e", "/bin/sh -c 'id > /tmp/owned'", "symbols"];
"""


def test_learning_lends_users_no_program(rspamd: Server) -> None:
    """What moving mail calls is not there for users' scripts: not when they are uploaded, nor when they are there."""
    with managesieve(rspamd, BOB) as session:
        refusal = session.put("attack", ATTACK)
    assert refusal.startswith(b"NO")
    assert b"vnd.dovecot.pipe" in refusal
    rspamd.checked("sh", "-c", f"cat > /tmp/attack <<'END'\n{ATTACK}END\nchmod 644 /tmp/attack")
    home = f"/var/mail/{DOMAIN}/bob/home/.dovecot.sieve"
    rspamd.checked("install", "-o", "docker", "-g", "docker", "/tmp/attack", home)
    deliver(rspamd, letter(BOB, "an attack", OUTSIDE), BOB)
    assert rspamd.receive(BOB, "an attack")
    rspamd.checked("rm", home)
    assert rspamd.run("test", "-e", "/tmp/owned").code == 1
    for kind in ("spam", "ham"):
        for suffix in ("sieve", "svbin"):
            rspamd.checked("test", "-s", f"/usr/lib/dovecot/sieve-pipe/learn-{kind}.{suffix}")
    assert rspamd.run("test", "-e", "/usr/lib/dovecot/sieve-pipe/rspamc").code == 1


def test_the_door_to_rspamd_opens_for_learning_only(rspamd: Server) -> None:
    for words in (["symbols"], ["-e", "/bin/sh -c 'id > /tmp/owned'", "symbols"], ["fuzzy_add"], []):
        refusal = rspamd.run("/usr/local/bin/rspamd-learn", *words, stdin="Subject: x\n\nbody\n")
        assert refusal.code == 64
    learned = ["--exec", "/bin/sh -c 'id > /tmp/owned'", "--key", "/etc/shadow", "learn_spam"]
    rspamd.run("/usr/local/bin/rspamd-learn", *learned, stdin="Subject: x\n\nbody\n")
    assert rspamd.run("test", "-e", "/tmp/owned").code == 1


def test_the_web_interface_wants_a_password(rspamd: Server) -> None:
    base = f"http://{rspamd.address}:11334"
    with urllib.request.urlopen(f"{base}/", timeout=10) as page:
        assert b"Rspamd" in page.read()
    for password in ("", "q1"):
        request = urllib.request.Request(f"{base}/stat", headers={"Password": password})
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=10)
        assert refusal.value.code in (401, 403)
        refusal.value.close()


def test_a_change_of_its_files_is_a_reload(rspamd: Server) -> None:
    before = rspamd.pids()["rspamd"]
    applied = rspamd.log().count("rspamd reload")
    (rspamd.config / "rspamd/custom-commands.conf").write_text("set-option-for-module greylist expire 3d\n")
    rspamd.wait_for_log("rspamd reload", applied + 1)
    greylist = dump(rspamd, "greylist")
    assert "timeout = 300" in greylist or "timeout = 5min" in greylist
    assert "259200" in greylist or "3d" in greylist
    assert rspamd.pids()["rspamd"] == before
    with pytest.raises(smtplib.SMTPDataError):
        deliver(rspamd, spam("X", "after the reload"))


def test_a_mistake_in_its_files_changes_nothing(rspamd: Server) -> None:
    before = dump(rspamd, "actions")
    mistake = rspamd.config / "rspamd/override.d/actions.conf"
    mistake.write_text("reject = 20;\nadd_header = { ;\n")
    rspamd.wait_for_log("rspamd/override.d/actions.conf:2: cannot be read: ")
    assert dump(rspamd, "actions") == before
    assert rspamd.services()["rspamd"]["state"] == "ready"
    mistake.unlink()


def test_without_rspamd_mail_has_to_come_again(rspamd: Server) -> None:
    rspamd.checked("dmsctl", "stop", "rspamd")
    with pytest.raises(smtplib.SMTPResponseException) as refusal:
        deliver(rspamd, letter(ANNA, "without rspamd", OUTSIDE))
    assert 400 <= refusal.value.smtp_code < 500
    rspamd.checked("dmsctl", "start", "rspamd")
    deliver(rspamd, letter(ANNA, "without rspamd", OUTSIDE))
    assert rspamd.receive(ANNA, "without rspamd")


def test_while_rspamd_hangs_mail_has_to_come_again(rspamd: Server) -> None:
    rspamd.checked("pkill", "-STOP", "-u", "_rspamd")
    with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected)) as refusal:
        deliver(rspamd, spam("X", "while it hangs"))
    if isinstance(refusal.value, smtplib.SMTPResponseException):
        assert 400 <= refusal.value.smtp_code < 500
    rspamd.checked("pkill", "-CONT", "-u", "_rspamd")
    deliver(rspamd, letter(ANNA, "after it hung", OUTSIDE))
    assert rspamd.receive(ANNA, "after it hung")


def test_an_rspamd_that_hangs_is_replaced(rspamd: Server) -> None:
    impatience = rspamd.config / "services" / "rspamd.toml"
    impatience.parent.mkdir()
    impatience.write_text('[health]\ninterval = "1s"\ntimeout = "1s"\n')
    rspamd.checked("dmsctl", "apply")
    before = rspamd.services()["rspamd"]
    rspamd.checked("pkill", "-STOP", "-u", "_rspamd")
    rspamd.wait_for_log("rspamd is restarted: 3 health probes in a row failed")
    while not accepted(rspamd, letter(ANNA, "after a hung one was replaced", OUTSIDE)):
        pass
    assert rspamd.receive(ANNA, "after a hung one was replaced")["X-Spamd-Result"]
    after = rspamd.services()["rspamd"]
    assert (after["state"], after["restarts"]) == ("ready", before["restarts"] + 1)
    impatience.unlink()
    rspamd.checked("dmsctl", "apply")


@pytest.mark.parametrize("what", ["STOP", "KILL"])
def test_without_redis_spam_is_still_refused_and_mail_not_lost(rspamd: Server, what: str) -> None:
    redis = rspamd.pids()["rspamd-redis"]
    rspamd.checked("kill", f"-{what}", str(redis))
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        deliver(rspamd, spam("X", f"redis {what}"))
    assert refusal.value.smtp_code in (451, 554)
    subject = f"mail while redis is hit by {what}"
    if not accepted(rspamd, letter(ANNA, subject, OUTSIDE)):
        rspamd.run("kill", "-CONT", str(redis))
        deliver(rspamd, letter(ANNA, subject, OUTSIDE))
    rspamd.run("kill", "-CONT", str(redis))
    assert rspamd.receive(ANNA, subject)
    assert rspamd.services()["rspamd-redis"]["state"] == "ready"


def accepted(server: Server, message: EmailMessage) -> bool:
    """Return whether a message is accepted; it may only be deferred, never refused."""
    try:
        deliver(server, message)
    except smtplib.SMTPResponseException as deferred:
        if deferred.smtp_code >= 500:
            raise
        return False
    return True


def test_spam_in_the_first_moment_is_refused(start: Start, zone: Peer) -> None:
    """Postfix listens when Rspamd judges, not before; and mail handed in then is delivered at once."""
    environment = {**RSPAMD, "RSPAMD_CHECK_AUTHENTICATED": "1", "RSPAMD_GREYLISTING": "1", "RSPAMD_HFILTER": "0"}
    files = {
        **ACCOUNTS,
        "postfix-main.cf": MAIN_CF,
        "rspamd/override.d/actions.conf": "greylist = 0.5;\n",
        "rspamd/custom-commands.conf": "set-option-for-module greylist timeout 2s\n",
    }
    server = start(files, environment=environment, options=[f"--dns={zone.address}"])
    while True:
        try:
            with server.smtp(587, login=ANNA) as smtp, pytest.raises(smtplib.SMTPDataError) as refusal:
                smtp.sendmail(ANNA, [BOB], spam("X", "first of all").as_bytes())
            break
        except ConnectionRefusedError:
            continue
    assert b"Gtube pattern" in refusal.value.smtp_error
    assert "Connection refused" not in server.mail_log()
    server.wait_until_up()
    server.send(BOB, "second of all", port=587, login=ANNA)
    assert server.receive(BOB, "second of all")
    assert server.run("test", "-e", "/etc/rspamd/local.d/hfilter_group.conf").code == 1
    assert "authenticated {" not in server.checked("cat", "/etc/rspamd/local.d/settings.conf")

    # Greylisting: a doubtful message has to come again, and is let in after a while.
    doubtful = letter(ANNA, "doubtful", "nobody@nowhere.test")
    assert not accepted(server, doubtful)
    while not accepted(server, doubtful):
        pass
    assert server.receive(ANNA, "doubtful")

    # A key that is made now signs the first message after the command, of its domain and those below it.
    server.checked("setup", "config", "dkim", "keysize", "1024", "domain", f"sub.{DOMAIN}")
    for number, author in enumerate((f"first@sub.{DOMAIN}", f"second@deep.sub.{DOMAIN}")):
        with server.smtp(587, login=ANNA) as smtp:
            smtp.sendmail(ANNA, [BOB], letter(BOB, f"with a key {number}", author).as_bytes())
        assert f"d=sub.{DOMAIN};" in server.receive(BOB, f"with a key {number}")["DKIM-Signature"]
