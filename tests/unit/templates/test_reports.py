"""Reports and their times: PFLOGSUMM_*, LOGWATCH_*, LOGROTATE_* (environment.tsv), behaviours 140 and 181 to 183."""

import pytest

from tests.unit.templates.conftest import Render

SUMMARY = "/etc/cron.daily/postfix-summary"
LOGWATCH = {"daily": "/etc/cron.daily/logwatch", "weekly": "/etc/cron.weekly/logwatch"}
ROTATED = "/usr/local/bin/postfix-summary"


def test_no_report_unless_asked_for(render: Render) -> None:
    rendered = render()
    assert not {SUMMARY, *LOGWATCH.values()} & rendered.files.keys()
    assert ROTATED not in rendered.text("/etc/logrotate.d/maillog")


@pytest.mark.parametrize("trigger", ["daily_cron", "logrotate"])
def test_summary_of_postfix(render: Render, trigger: str) -> None:
    rendered = render(PFLOGSUMM_TRIGGER=trigger)
    assert (SUMMARY in rendered.files) == (trigger == "daily_cron")
    assert (ROTATED in rendered.text("/etc/logrotate.d/maillog")) == (trigger == "logrotate")
    if trigger == "daily_cron":
        assert rendered.files[SUMMARY].mode == 0o744
        assert "report-pflogsumm-yesterday mail.example.test " in rendered.text(SUMMARY)


@pytest.mark.parametrize(
    ("interval", "span"), [("daily", '--range "Yesterday"'), ("weekly", '--range "between -7 days and -1 days"')]
)
def test_logwatch(render: Render, interval: str, span: str) -> None:
    rendered = render(LOGWATCH_INTERVAL=interval)
    assert [path for path in LOGWATCH.values() if path in rendered.files] == [LOGWATCH[interval]]
    assert rendered.files[LOGWATCH[interval]].mode == 0o744
    assert span in rendered.text(LOGWATCH[interval])


def test_sender_of_logwatch_is_always_written(render: Render) -> None:
    path = "/etc/logwatch/conf/logwatch.conf"
    assert render(LOGWATCH_SENDER="watch@example.test").lines(path) == [
        "MailFrom = watch@example.test",
        'mailer = "/usr/sbin/sendmail -t -f watch@example.test"',
    ]
    assert "MailFrom = reports@example.test" in render(REPORT_SENDER="reports@example.test").lines(path)
    assert "MailFrom = mailserver-report@mail.example.test" in render().lines(path)


@pytest.mark.parametrize("log", ["maillog", "rspamd", "fail2ban"])
def test_rotation(render: Render, log: str) -> None:
    rendered = render(LOGROTATE_INTERVAL="monthly", LOGROTATE_COUNT="7", ENABLE_RSPAMD="1", ENABLE_FAIL2BAN="1")
    words = {line.strip() for line in rendered.lines(f"/etc/logrotate.d/{log}")}
    assert {"monthly", "rotate 7", "compress", "copytruncate", "delaycompress"} <= words
    assert {"weekly", "rotate 4"} <= {line.strip() for line in render().lines("/etc/logrotate.d/maillog")}


def test_quarantine_is_wiped_at_four(render: Render) -> None:
    rendered = render()
    job = next(line for line in rendered.lines("/var/spool/cron/crontabs/root") if "virus-wiper" in line)
    assert job.startswith("0 4 * * * dmsctl start virus-wiper")
    service = rendered.services["virus-wiper"]
    assert (service.enabled, service.type, service.every_seconds, service.late) == (True, "oneshot", 0, True)
    assert rendered.files[service.command[0]].mode == 0o755
    assert "/var/spool/cron/crontabs/root" not in render(ENABLE_AMAVIS="0").files
