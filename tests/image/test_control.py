"""dmsctl, supervisorctl, the control socket and the metrics of a running server."""

import json
import re

import pytest

from tests.image.harness import Server

ROW = re.compile(r"^(\S+) +(RUNNING|STOPPED|STARTING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN) +(.*)$")


def test_supervisorctl_status_has_the_columns_that_scripts_parse(server: Server) -> None:
    lines = server.run("supervisorctl", "status").output.splitlines()
    rows = {match[1]: match for line in lines if (match := ROW.match(line))}
    assert len(rows) == len(lines)
    for name in ("postfix", "dovecot", "rsyslog", "cron", "opendkim", "opendmarc"):
        assert rows[name][2] == "RUNNING"
        assert re.match(r"pid \d+, uptime \d+:\d\d:\d\d$", rows[name][3])


def test_supervisorctl_restarts_one_service(crash_server: Server) -> None:
    before = crash_server.pids()
    output = crash_server.checked("supervisorctl", "restart", "opendmarc")
    assert output.splitlines() == ["opendmarc: stopped", "opendmarc: started"]
    after = crash_server.pids()
    assert {name for name in after if after[name] != before[name]} == {"opendmarc"}


def test_supervisorctl_restart_takes_a_changed_file_of_that_service_along(crash_server: Server) -> None:
    override = crash_server.config / "dovecot.cf"
    for text, shown in (("mail_max_userip_connections = 44\n", "44"), ("", "10")):
        override.write_text(text)
        crash_server.checked("supervisorctl", "restart", "opendmarc")
        assert crash_server.checked("doveconf", "-h", "mail_max_userip_connections").strip() != shown
        output = crash_server.checked("supervisorctl", "restart", "dovecot")
        assert output.splitlines() == ["dovecot: stopped", "dovecot: started"]
        assert crash_server.checked("doveconf", "-h", "mail_max_userip_connections").strip() == shown
    override.unlink()


@pytest.mark.parametrize("name", ["cron", "changedetector"])
def test_dmsctl_stops_and_starts_a_service(crash_server: Server, name: str) -> None:
    crash_server.checked("dmsctl", "stop", name)
    assert crash_server.services()[name]["state"] == "stopped"
    assert crash_server.run("dms-healthcheck").code == 1
    crash_server.checked("dmsctl", "start", name)
    assert crash_server.services()[name]["state"] == "ready"
    assert crash_server.run("dms-healthcheck").code == 0


def test_dmsctl_exit_codes(server: Server) -> None:
    assert server.run("dmsctl", "health").code == 0
    assert server.run("dmsctl", "status", "no-such-service").code == 3
    assert server.run("dmsctl", "no-such-command").code == 2


def test_status_is_told_to_people_and_scripts(server: Server) -> None:
    assert "postfix" in server.checked("dmsctl", "status")
    status = server.json("dmsctl", "status", "--json")
    assert status["state"] == "ready"
    assert status["ready"] is True


def test_blame_explains_the_boot(server: Server) -> None:
    text = server.checked("dmsctl", "blame")
    for name in ("render", "postfix", "dovecot"):
        assert name in text


def test_logs_of_a_service_are_kept(crash_server: Server) -> None:
    crash_server.checked("dmsctl", "logs", "dovecot")
    assert crash_server.run("dmsctl", "logs", "no-such-service").code == 3


def test_the_socket_speaks_http(server: Server) -> None:
    curl = ("curl", "--silent", "--unix-socket", "/run/dmsinit/control.sock")
    assert server.json(*curl, "http://dmsinit/v1/status")["ready"] is True
    problem = json.loads(server.checked(*curl, "http://dmsinit/v1/services/no-such-service"))
    assert problem["status"] == 404
    assert (
        server.checked(*curl, "--output", "/dev/null", "--write-out", "%{http_code}", "http://dmsinit/readyz") == "200"
    )


def test_only_root_and_the_group_may_use_the_socket(server: Server) -> None:
    assert server.checked("stat", "--format=%a %U:%G", "/run/dmsinit/control.sock").strip() == "660 root:dmsinit"
    assert server.run("setpriv", "--reuid=docker", "--clear-groups", "dmsctl", "status").code == 4


def test_metrics_are_served_and_agree_with_the_status(server: Server) -> None:
    text = server.checked("curl", "--silent", "--fail", "http://127.0.0.1:9154/metrics")
    assert re.search(r'^dms_service_up\{service="postfix"\} 1(\.0)?$', text, re.MULTILINE)
    assert "dms_build_info{" in text
    assert server.run("dmsctl", "metrics").output.count("dms_service_up{") == text.count("dms_service_up{")
