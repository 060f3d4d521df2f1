"""Amavis and SpamAssassin on real mail: behaviours 125 to 140, learning, and failures that lose nothing."""

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, Server, account, letter

ANNA, QUARANTINE = (f"{name}@{DOMAIN}" for name in ("anna", "quarantine"))
SUB = "sub@deep.example.test"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
ACCOUNTS = "".join(account(address) for address in (ANNA, QUARANTINE, SUB))
OFFLINE = "dns_available no\n"
"""SpamAssassin without a name server; else it waits for answers that never come."""

POINTS = "body POINTS_FIVE /five points/\nscore POINTS_FIVE 5\ndescribe POINTS_FIVE Five\n"
RUBBISH = """namespace inbox {
  mailbox Junk {
    special_use =
    auto = no
  }
  mailbox Rubbish {
    special_use = \\Junk
    auto = create
  }
}
"""
EASY_BAYES = "bayes_min_spam_num 3\nbayes_min_ham_num 3\nbayes_auto_learn 0\n"


def deliver(server: Server, subject: str, text: str = "Hello\n", *, recipient: str = ANNA, **headers: str) -> None:
    """Submit a message as anna; text of a message is all that a content filter cares for here."""
    message = letter(recipient, subject, ANNA)
    message["Date"] = "Mon, 01 Jan 2024 12:00:00 +0000"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    with server.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [recipient], message.as_bytes())


def holds(server: Server, user: str, mailbox: str, subject: str) -> bool:
    with server.imap(user) as imap:
        return imap.select(mailbox)[0] == "OK" and imap.search(None, "SUBJECT", f'"{subject}"')[1] != [b""]


def move(server: Server, subject: str, source: str, target: str) -> None:
    with server.imap(ANNA) as imap:
        imap.select(source)
        number = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()[-1].decode()
        assert imap.copy(number, target)[0] == "OK"
        imap.store(number, "+FLAGS", "\\Deleted")
        imap.expunge()


@pytest.fixture(scope="module")
def filtering(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SpamAssassin on, results in the headers of all mail, subjects marked, spam read and in Junk."""
    files = {"postfix-accounts.cf": ACCOUNTS, "spamassassin-rules.cf": OFFLINE + POINTS + EASY_BAYES}
    environment = {
        "ENABLE_SPAMASSASSIN": "1", "SA_TAG": "-1000", "SA_TAG2": "4", "SA_KILL": "100", "SPAM_SUBJECT": "[SPAM] ",
        "MARK_SPAM_AS_READ": "1",
    }  # fmt: skip
    server = containers.start(files, tmp_path_factory.mktemp("amavis"), environment=environment)
    yield server.wait_until_up()
    server.remove()


@pytest.mark.parametrize("recipient", [ANNA, SUB])
def test_results_stand_in_the_headers_of_hosted_domains(filtering: Server, recipient: str) -> None:
    deliver(filtering, f"scanned for {recipient}", recipient=recipient)
    message = filtering.receive(recipient, f"scanned for {recipient}")
    assert message["X-Spam-Flag"] == "NO"
    assert float(message["X-Spam-Score"]) < 4
    assert "required=4" in message["X-Spam-Status"]
    assert "amavis" not in " ".join(message.get_all("Received", []))


def spam(server: Server, subject: str) -> EmailMessage:
    deliver(server, subject, "This is worth five points.\n")
    return server.receive(ANNA, subject, "Junk")


def test_spam_is_marked_and_read_in_junk(filtering: Server) -> None:
    message = spam(filtering, "worth five")
    assert message["X-Spam-Flag"] == "YES"
    assert message["Subject"] == "[SPAM] worth five"
    assert "POINTS_FIVE=5" in message["X-Spam-Status"]
    with filtering.imap(ANNA) as imap:
        imap.select("Junk", readonly=True)
        number = imap.search(None, "SUBJECT", '"worth five"')[1][0].split()[0].decode()
        assert b"\\Seen" in imap.fetch(number, "(FLAGS)")[1][0]  # type: ignore[operator]  # a line of bytes
    assert not holds(filtering, ANNA, "INBOX", "worth five")


def learned(server: Server, kind: str) -> int:
    dump = server.checked("runuser", "-u", "amavis", "--", "env", "HOME=/var/lib/amavis", "sa-learn", "--dump", "magic")
    return next(int(line.split()[2]) for line in dump.splitlines() if line.endswith(f"non-token data: n{kind}"))


def test_what_users_move_teaches_the_filter(filtering: Server) -> None:
    words = "glorious watches pills casino lottery winner inheritance prince offshore discount"
    plain = "meeting protocol compiler garden weather train library invoice saturday kitchen"
    for number in range(3):
        deliver(filtering, f"bad {number}", f"{words} {number}\n")
        deliver(filtering, f"good {number}", f"{plain} {number}\n")
        filtering.receive(ANNA, f"bad {number}")
        filtering.receive(ANNA, f"good {number}")
        move(filtering, f"bad {number}", "INBOX", "Junk")
        move(filtering, f"good {number}", "INBOX", "Junk")
    filtering.until("! ls /var/lib/amavis/learn/*/message.* /var/lib/amavis/learn/now/* 2> /dev/null | grep -q .")
    filtering.until(
        "[ $(HOME=/x sa-learn --dbpath /var/lib/amavis/.spamassassin --dump magic | awk '/nspam/{print $3}') = 6 ]",
    )
    for number in range(3):
        move(filtering, f"good {number}", "Junk", "INBOX")
    filtering.until(
        "[ $(HOME=/x sa-learn --dbpath /var/lib/amavis/.spamassassin --dump magic | awk '/nham/{print $3}') = 3 ]",
    )
    assert learned(filtering, "spam") == 3
    deliver(filtering, "judged", f"{words} once more\n")
    filtering.receive(ANNA, "judged")
    assert "BAYES_" in filtering.receive(ANNA, "judged")["X-Spam-Status"]


LEARN_BY_CRON = """# m h dom mon dow user command
* * * * * root  sa-learn --spam /var/mail/example.test/anna/.Junk --dbpath /var/mail-state/lib-amavis/.spamassassin
* * * * * root  sa-learn --ham /var/mail/example.test/anna/cur* --dbpath /var/mail-state/lib-amavis/.spamassassin
"""
"""The recipe that docker-mailserver's FAQ gives, every minute."""
KNOWN = "sa-learn --dbpath /var/mail-state/lib-amavis/.spamassassin --dump magic | grep -cE ' 200 .*: n(spam|ham)$'"


def test_bayes_judges_by_what_cron_has_learned_from_folders(start: Start, tmp_path: Path) -> None:
    """Two hundred messages of each kind, which is what SpamAssassin asks for, by the real cron daemon."""
    (tmp_path / "state").mkdir()
    server = start(
        {"postfix-accounts.cf": ACCOUNTS, "spamassassin-rules.cf": OFFLINE},
        environment={"ENABLE_SPAMASSASSIN": "1", "SA_TAG": "-1000"},
        options=["--volume", f"{tmp_path}/state:/var/mail-state"],
    )  # fmt: skip
    server.wait_until_up()
    chance = random.Random(1)
    kinds = {"Junk": [f"pill{n}ium" for n in range(300)], "INBOX": [f"garden{n}er" for n in range(300)]}
    with server.imap(ANNA) as imap:
        for mailbox, words in kinds.items():
            for number in range(200):
                message = letter(ANNA, " ".join(chance.sample(words, 4)), f"{number}@outside.test")
                message.set_content(" ".join(chance.sample(words, 40)) + "\n")
                assert imap.append(mailbox, "\\Seen", "", message.as_bytes())[0] == "OK"
    assert server.run("sh", "-c", "cat > /etc/cron.d/sa-learn", stdin=LEARN_BY_CRON).code == 0
    server.until(f"[ $({KNOWN}) = 2 ]")
    server.checked("rm", "/etc/cron.d/sa-learn")
    deliver(server, "an offer", " ".join(chance.sample(kinds["Junk"], 40)) + "\n")
    deliver(server, "a walk", " ".join(chance.sample(kinds["INBOX"], 40)) + "\n")
    assert re.search(r"\bBAYES_99=", server.receive(ANNA, "an offer")["X-Spam-Status"])
    assert re.search(r"\bBAYES_00=", server.receive(ANNA, "a walk")["X-Spam-Status"])


def test_what_root_learns_amavis_reads(filtering: Server) -> None:
    filtering.checked("sh", "-c", "printf 'Subject: x\\n\\nunheard of words\\n' > /tmp/one")
    filtering.checked("sa-learn", "--spam", "/tmp/one", "--dbpath", "/var/lib/amavis/.spamassassin")
    listing = filtering.checked(
        "sh", "-c", "runuser -u amavis -- test -w /var/lib/amavis/.spamassassin/bayes_toks && echo yes"
    )
    assert listing == "yes\n"


def test_headers_of_received_mail_stay(filtering: Server) -> None:
    deliver(filtering, "with a mailer", X_Loop="Thing 1")
    message = filtering.receive(ANNA, "with a mailer")
    assert message["X-Loop"] == "Thing 1"
    assert message["X-MS-Reactions"] == "disallow"


def test_old_quarantine_is_wiped(filtering: Server) -> None:
    folder = "/var/lib/amavis/virusmails"
    filtering.checked("touch", "-d", "8 days ago", f"{folder}/old")
    filtering.checked("touch", "-d", "6 days ago", f"{folder}/young")
    filtering.checked("dmsctl", "start", "virus-wiper")
    assert filtering.run("test", "-e", f"{folder}/old").code == 1
    assert filtering.run("test", "-e", f"{folder}/young").code == 0


def test_without_amavis_mail_waits_and_then_arrives(filtering: Server) -> None:
    filtering.checked("dmsctl", "stop", "amavis")
    deliver(filtering, "waited")
    filtering.until('postqueue -j | grep -q \'"queue_name": "deferred"\'')
    assert not holds(filtering, ANNA, "INBOX", "waited")
    filtering.checked("dmsctl", "start", "amavis")
    assert filtering.receive(ANNA, "waited")["X-Spam-Flag"] == "NO"


def test_a_killed_amavis_loses_nothing(filtering: Server) -> None:
    subjects = [f"burst {number}" for number in range(20)]
    for number, subject in enumerate(subjects):
        deliver(filtering, subject)
        if number == 10:
            filtering.checked("kill", "-KILL", str(filtering.pids()["amavis"]))
    for subject in subjects:
        filtering.receive(ANNA, subject)


def test_restarts_of_postfix_defer_nothing(filtering: Server) -> None:
    deliver(filtering, "before the restart")
    filtering.receive(ANNA, "before the restart")
    filtering.checked("dmsctl", "restart", "postfix")
    for number in range(3):
        deliver(filtering, f"after the restart {number}")
        filtering.receive(ANNA, f"after the restart {number}")
    assert filtering.checked("postqueue", "-p").strip() == "Mail queue is empty"


def test_a_burst_is_delivered_and_not_deferred(start: Start) -> None:
    """500 messages to one user by eight sessions, through the filter that is on by default."""
    server = start(environment={"PERMIT_DOCKER": "connected-networks"}).wait_until_up()
    with server.smtp(25) as first:  # pass postscreen's greeting once
        first.noop()

    def session(numbers: range) -> None:
        with server.smtp(25) as smtp:
            for number in numbers:
                message = letter(ANNA, f"number {number}", f"outside@{DOMAIN}")
                smtp.sendmail(f"outside@{DOMAIN}", [ANNA], message.as_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(session, [range(first, 500, 8) for first in range(8)]))
    server.until("postqueue -j | wc -l | grep -qx 0")
    log = server.mail_log()
    assert len(re.findall(r"postfix/lmtp.*status=sent", log)) == 500
    assert "status=deferred" not in log
    assert "Too many concurrent deliveries" not in log


def test_refused_spam_is_kept_where_the_user_says(start: Start) -> None:
    names = ("bad_header", "banned", "clean", "spam", "virus")
    amavis = "".join(f'${name}_quarantine_to = "quarantine\\@{DOMAIN}";\n' for name in names if name != "clean")
    files = {
        "postfix-accounts.cf": ACCOUNTS,
        "spamassassin-rules.cf": OFFLINE,
        "dovecot.cf": RUBBISH,
        "amavis.cf": f'{amavis}@local_domains_maps = (".");\n1;\n',
    }
    server = start(files, environment={"ENABLE_SPAMASSASSIN": "1", "SPAMASSASSIN_SPAM_TO_INBOX": "0", "SA_KILL": "6"})
    server.wait_until_up()
    deliver(server, "unwanted", GTUBE + "\n")
    server.wait_for_log("Blocked SPAM")
    assert server.receive(QUARANTINE, "unwanted", "Rubbish")["X-Quarantine-ID"]
    assert not holds(server, ANNA, "INBOX", "unwanted")
    assert not holds(server, ANNA, "Rubbish", "unwanted")


def test_a_broken_amavis_cf_is_refused_with_its_line(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "postfix-accounts.cf").write_text(ACCOUNTS)
    (tmp_path / "amavis.cf").write_text("use strict;\n$log_level = 1;\n@x = (;\n1;\n")
    result = containers.command(
        "dmsinit", "render", "--check", config=tmp_path, options=["--hostname", "mail.example.test"]
    )
    assert result.code == 78
    assert "amavis.cf:3" in result.output


def test_rules_that_spamassassin_cannot_read_are_told(
    containers: Containers, filtering: Server, tmp_path: Path
) -> None:
    (tmp_path / "postfix-accounts.cf").write_text(ACCOUNTS)
    (tmp_path / "spamassassin-rules.cf").write_text(f"# mine\n{POINTS}body OPEN /(/\nscoer POINTS_FIVE 6\n")
    result = containers.command(
        "dmsinit", "render", "--check", config=tmp_path,
        options=["--hostname", "mail.example.test", "--env=ENABLE_SPAMASSASSIN=1"],
    )  # fmt: skip
    assert result.code == 0, result.output
    told = [line for line in result.output.splitlines() if "spamassassin-rules.cf" in line]
    assert len(told) == 2
    assert "spamassassin-rules.cf:5: SpamAssassin finds an invalid regexp of OPEN" in "".join(told)
    assert "spamassassin-rules.cf:6: SpamAssassin does not know what this line says" in "".join(told)
    assert "spamassassin-rules.cf" not in filtering.log()
