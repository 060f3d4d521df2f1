"""Reports are mailed, and their figures are right: pflogsumm and logwatch read the real mail log.

Behaviours 181 to 183. Lines of other days are those of today with another date.
"""

import re
from collections.abc import Callable, Mapping

import pytest

from tests.image.harness import Server, account

Start = Callable[..., Server]

ANNA, BOB = "anna@example.test", "bob@example.test"
FILES = {"postfix-accounts.cf": account(ANNA) + account(BOB)}
SETTINGS = {"PERMIT_DOCKER": "connected-networks", "POSTMASTER_ADDRESS": BOB}
SUMMARY = "Postfix Summary for mail.example.test"
LOGWATCH = "Logwatch for mail.example.test"

CRON = ("env", "-i", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
"""What the environment of a job is, as /etc/crontab sets it."""

REDATE = """
set -e
cd /var/log/mail
of() { sed "s/^[^T]*/$(date -d "$1" +%F)/" /tmp/real; }
cat mail.log > /tmp/real
"""


@pytest.fixture
def running(start: Start) -> Callable[[Mapping[str, str]], Server]:
    """Start a server that delivers two messages through Amavis: one from outside, one of a user by port 465."""

    def running(settings: Mapping[str, str]) -> Server:
        server = start(FILES, environment={**SETTINGS, **settings}).wait_until_up()
        server.send(ANNA, "from outside")
        server.send(BOB, "from a user", port=465, login=ANNA)
        for user in (ANNA, BOB):
            server.wait_for_line("/var/log/mail/mail.log", rf"postfix/lmtp\[.* to=<{user}>.* status=sent")
        return server

    return running


def figures(report: str) -> dict[str, str]:
    """Return name → number of the lines that begin with a number."""
    found = (re.fullmatch(r" +(\d+) +(\S.*?)(?:  .*)?", line) for line in report.splitlines())
    return {match.group(2): match.group(1) for match in found if match}


def test_a_rotated_log_is_summarised(running: Callable[[Mapping[str, str]], Server]) -> None:
    server = running(
        {
            "PFLOGSUMM_TRIGGER": "logrotate",
            "PFLOGSUMM_RECIPIENT": f"{ANNA}, {BOB}",
            "PFLOGSUMM_SENDER": "summary@example.test",
            "LOGROTATE_COUNT": "1",
        }
    )
    server.checked("logrotate", "--force", "/etc/logrotate.conf")
    for user in (ANNA, BOB):
        mail = server.receive(user, SUMMARY)
        assert (mail["From"], mail["Return-Path"]) == ("summary@example.test", "<summary@example.test>")
        assert mail["Auto-Submitted"] == "auto-generated"
        found = figures(mail.get_content())
        assert [found[name] for name in ("received", "delivered", "recipients")] == ["2", "2", "2"]
    assert server.run("postfix-summary", "mail.example.test", ANNA).code == 2
    server.checked("rm", "/var/log/mail/mail.log.1")
    refused = server.run("postfix-summary", "mail.example.test", ANNA, ANNA)
    assert refused.code == 1
    assert "cannot summarise /var/log/mail/mail.log.1: there is no such file" in refused.output


def test_yesterday_is_reported_every_day(running: Callable[[Mapping[str, str]], Server]) -> None:
    """Yesterday's lines stand in three logs, because the log was rotated yesterday and today."""
    server = running(
        {"PFLOGSUMM_TRIGGER": "daily_cron", "LOGWATCH_INTERVAL": "daily", "REPORT_RECIPIENT": ANNA, "TZ": "Asia/Tokyo"}
    )
    logs = """
    { of '2 days ago'; of yesterday; } | gzip > mail.log.2.gz
    of yesterday > mail.log.1
    of '2 days ago' > mail.log.3 && touch -d '2 days ago' mail.log.3
    { of yesterday; of today; } > mail.log
    """
    server.checked("bash", "-c", REDATE + logs)
    server.checked(*CRON, "run-parts", "--report", "/etc/cron.daily")
    for subject in (SUMMARY, LOGWATCH):
        mail = server.receive(ANNA, subject)
        assert (mail["From"], mail["Return-Path"]) == (
            "mailserver-report@mail.example.test",
            "<mailserver-report@mail.example.test>",
        )
        found = figures(mail.get_content())
        if subject is SUMMARY:
            assert (found["received"], found["delivered"]) == ("6", "6")
        else:
            assert (found["Accepted"], found["Sent via LMTP"]) == ("6", "6")


def test_seven_days_are_reported_every_week(running: Callable[[Mapping[str, str]], Server]) -> None:
    server = running({"LOGWATCH_INTERVAL": "weekly", "LOGWATCH_SENDER": "watch@example.test"})
    logs = """
    { of '8 days ago'; of '7 days ago'; } | gzip > mail.log.2.gz
    { of '3 days ago'; of yesterday; } > mail.log.1
    echo "$(date -d yesterday +%F)T12:00:00.000000+00:00 mail dovecot: indexer-worker(x)<1><x>: FTS: one" >> mail.log.1
    """
    server.checked("bash", "-c", REDATE + logs)
    server.checked(*CRON, "run-parts", "--report", "/etc/cron.weekly")
    mail = server.receive(BOB, LOGWATCH)
    assert (mail["From"], mail["Return-Path"]) == ("watch@example.test", "<watch@example.test>")
    report = mail.get_content()
    assert figures(report)["Sent via LMTP"] == "6"
    assert "Dovecot Deliveries: 6" in report
    assert "indexer-worker" not in report
