"""ClamAV and freshclam: services.tsv, behaviours 36, 138 and 139, and what happens without signatures or memory."""

import pytest

from tests.unit.templates.conftest import Render, Rendered


def clamd(rendered: Rendered) -> dict[str, str]:
    return {line.split(None, 1)[0]: line.split(None, 1)[1] for line in rendered.lines("/etc/clamav/clamd.conf")}


def test_clamd(render: Render) -> None:
    found = clamd(render(ENABLE_CLAMAV="1"))
    assert found["LocalSocket"] == "/var/run/clamav/clamd.ctl"
    assert found["Foreground"] == "true"
    assert found["LogFile"] == "/var/log/mail/clamav.log"
    assert found["ConcurrentDatabaseReload"] == "yes"
    assert (found["MaxFileSize"], found["MaxScanSize"]) == ("25M", "100M")


def test_message_size(render: Render) -> None:
    found = clamd(render(ENABLE_CLAMAV="1", CLAMAV_MESSAGE_SIZE_LIMIT="42M"))
    assert found["MaxFileSize"] == found["MaxScanSize"] == found["StreamMaxLength"] == "42M"


def test_without_clamav_nothing_of_it_is_left(render: Render) -> None:
    rendered = render()
    assert not [path for path in rendered.files if "clam" in path]
    assert not rendered.services["clamav"].enabled
    assert not rendered.services["freshclam"].enabled


def test_clamd_waits_for_signatures_and_postfix_for_clamd(render: Render) -> None:
    services = render(ENABLE_CLAMAV="1").services
    assert "/var/lib/clamav/main.c[lv]d" in services["clamav"].needs.files
    assert "no signature database" in services["clamav"].needs.why
    assert services["clamav"].ready.probe.kind == "clamd"
    assert "clamav" in services["postfix"].wants


def test_clamd_goes_first_when_memory_runs_out(render: Render) -> None:
    services = render(ENABLE_CLAMAV="1").services
    scores = {name: service.limits.oom_score_adj or 0 for name, service in services.items() if service.enabled}
    assert max(scores, key=lambda name: scores[name]) == "clamav"
    assert scores["postfix"] == scores["dovecot"] == 0


def test_freshclam_runs_now_and_then(render: Render) -> None:
    rendered = render(ENABLE_CLAMAV="1")
    service = rendered.services["freshclam"]
    assert (service.type, service.every_seconds, service.user) == ("oneshot", 6 * 3600, "clamav")
    lines = rendered.lines("/etc/clamav/freshclam.conf")
    assert {"UpdateLogFile /var/log/mail/freshclam.log", "NotifyClamd /etc/clamav/clamd.conf"} <= set(lines)
    assert not [path for path in rendered.files if path.startswith("/etc/cron") and "clam" in path]


@pytest.mark.parametrize("name", ["clamav", "freshclam"])
def test_logs_are_rotated(render: Render, name: str) -> None:
    assert f"/var/log/mail/{name}.log" in render(ENABLE_CLAMAV="1").lines("/etc/logrotate.d/clamav")
