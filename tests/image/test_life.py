"""Boot, restart, crash and end of a container, and the commands that run without a server."""

import re

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, HOSTNAME, IMAGE, UP, Containers, Server, account

ANNA = f"anna@{DOMAIN}"
SERVICES = {"rsyslog", "cron", "dovecot", "postfix", "opendkim", "opendmarc"}
NOT_IN_A_HEALTHY_LOG = (
    "non-null host address bits in",
    "mail system configuration error",
    ": Error:",
    "is not writable",
    "Permission denied",
    "(!)connect",
    "using backwards-compatible default setting",
    "Connection refused",
    "Traceback",
)
"""Behaviour 192, and what dmsinit promises beyond it."""


def test_up_is_said_once_and_the_mail_log_follows(server: Server) -> None:
    server.send(ANNA, "after up", port=587, login=ANNA)
    server.receive(ANNA, "after up")
    server.wait_for_log("postfix/submission/smtpd")
    before, after = server.log().split(f"{HOSTNAME} {UP}")
    assert not re.search(r"postfix/[\w/-]+\[", before)
    assert "postfix/submission/smtpd" in after


def test_every_service_is_ready_when_up_is_said(server: Server) -> None:
    services = server.services()
    states = {name: service["state"] for name, service in services.items() if not service["next_run"]}
    assert states.keys() >= SERVICES
    states.pop("virus-wiper")  # it runs once, after this, and when cron says
    assert {name: state for name, state in states.items() if state not in ("ready", "disabled")} == {}


def test_a_service_that_cannot_start_does_not_keep_the_server_from_being_up(start: Start) -> None:
    broken = (
        'command = ["sh", "-c", "echo no such directory server >&2; exit 3"]\n'
        '[ready]\nprobe = "tcp"\naddress = "inet:127.0.0.1:9"\n'
    )
    files = {"postfix-accounts.cf": account(ANNA), "services/directory.toml": broken}
    server = start(files).wait_until_up()
    assert server.boot_seconds < 50  # nobody has waited for the end of all patience
    assert "not everything is ready: directory (exit code 3" in server.log()
    server.send(ANNA, "all the same")
    server.receive(ANNA, "all the same")
    assert server.services()["changedetector"]["state"] == "ready"
    assert server.run("dms-healthcheck").code == 1


def test_every_service_has_a_log_and_so_has_their_supervision(server: Server) -> None:
    running = {name for name, service in server.services().items() if service["pid"]} - {"mailserver"}
    logs = {f"{name}.log" for name in (*running, "supervisord")}
    assert logs <= set(server.checked("ls", "/var/log/supervisor").split())


def test_the_log_of_the_supervision_is_as_detailed_as_wanted(start: Start) -> None:
    server = start(environment={"SUPERVISOR_LOGLEVEL": "debug"}).wait_until_up()
    server.wait_for_line("/var/log/supervisor/supervisord.log", "DEBUG dmsinit: postfix: starting → ready")
    assert "→ ready" not in server.log()


def test_a_healthy_server_logs_nothing_alarming(server: Server) -> None:
    log = server.log() + server.mail_log()
    assert [line for line in log.splitlines() if any(text in line for text in NOT_IN_A_HEALTHY_LOG)] == []


def test_health_probes_are_no_news_even_when_they_took_a_while(server: Server) -> None:
    login = "imap-login: Login aborted: Logged out (no auth attempts in 2 secs) (no_auth_attempts)"
    for tag, text in (
        ("postfix/postscreen[1]", "HANGUP after 0.25 from [127.0.0.1]:4711 in tests before SMTP handshake"),
        ("dovecot", f"{login}: user=<>, rip=127.0.0.1, lip=127.0.0.1, secured, session=<probe>"),
        ("dovecot", f"{login}: user=<>, rip=192.0.2.7, lip=127.0.0.1, secured, session=<somebody>"),
    ):
        server.checked("logger", "--tag", tag, "--priority", "mail.info", text)
    server.wait_for_line("/var/log/mail/mail.log", "session=<somebody>")
    assert "after 0.25" not in server.mail_log()
    assert "session=<probe>" not in server.mail_log()


def test_mail_lines_stay_out_of_syslog(server: Server) -> None:
    assert server.run("grep", "postfix", "/var/log/syslog").code != 0


def test_pid_1_is_dmsinit_and_small(server: Server) -> None:
    assert "dmsinit" in server.checked("cat", "/proc/1/cmdline")
    found = re.search(r"VmRSS:\s+(\d+) kB", server.checked("cat", "/proc/1/status"))
    assert found
    assert int(found[1]) < 36 * 1024


def test_port_25_listens_for_an_older_health_check(server: Server) -> None:
    assert server.run("bash", "-c", "ss --listening --ipv4 --tcp | grep -q :smtp").code == 0


def test_the_health_check_says_yes_and_nothing_else(server: Server) -> None:
    result = server.run("bash", "-c", "dms-healthcheck 2>/dev/null")
    assert (result.code, result.output) == (0, "")


def test_stopping_is_quick_and_ends_with_0(start: Start) -> None:
    server = start().wait_until_up()
    server.stop()
    assert server.exit_code() == 0
    assert "SIGKILL" not in server.log()  # every service ended by itself, within its grace


def test_interrupting_ends_with_0(start: Start, containers: Containers) -> None:
    server = start().wait_until_up()
    containers.checked("kill", "--signal=INT", server.name)
    assert server.wait_for_end() == 0


def test_a_second_signal_shortens_the_stop(start: Start, containers: Containers) -> None:
    stubborn = """command = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 60; done"]\n[stop]\ngrace = "5000s"\n"""
    files = {"postfix-accounts.cf": account(ANNA), "services/stubborn.toml": stubborn}
    server = start(files).wait_until_up()
    containers.checked("kill", "--signal=TERM", server.name)
    server.wait_for_log("stopping")
    containers.checked("kill", "--signal=TERM", server.name)
    assert server.wait_for_end() == 0
    assert "second stop signal" in server.log()


def test_a_rendering_that_is_killed_is_reported_as_killed(start: Start) -> None:
    patches = "kill -9 $(pgrep -f 'dmsinit render')\n"
    server = start({"postfix-accounts.cf": account(ANNA), "user-patches.sh": patches})
    assert server.wait_for_end() == 70
    assert "rendering ended with killed by SIGKILL" in server.log()
    assert "defect" not in server.log()
    assert "Traceback" not in server.log()


def test_a_restarted_container_keeps_mail_and_works(start: Start) -> None:
    server = start().wait_until_up()
    server.send(ANNA, "before the restart", port=587, login=ANNA)
    server.receive(ANNA, "before the restart")
    server.restart()
    server.wait_until_up(count=2)
    server.receive(ANNA, "before the restart")
    server.send(ANNA, "after the restart", port=587, login=ANNA)
    server.receive(ANNA, "after the restart")


def test_a_killed_container_starts_again(start: Start, containers: Containers) -> None:
    server = start().wait_until_up()
    server.kill()
    server.restart()
    server.wait_until_up(count=2)
    server.send(ANNA, "after the kill", port=587, login=ANNA)
    server.receive(ANNA, "after the kill")


def test_state_moves_to_the_volume_and_back_into_a_new_container(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    volumes = tmp_path_factory.mktemp("volumes")
    options = []
    for folder, target in (("state", "/var/mail-state"), ("mail", "/var/mail"), ("logs", "/var/log/mail")):
        (volumes / folder).mkdir()
        options += ["--volume", f"{volumes / folder}:{target}"]
    first = start(options=options).wait_until_up()
    first.send(ANNA, "kept", port=587, login=ANNA)
    first.receive(ANNA, "kept")
    first.stop()
    second = start(options=options).wait_until_up()
    assert second.receive(ANNA, "kept")["Subject"] == "kept"
    assert (volumes / "state" / "spool-postfix").is_dir()


@pytest.mark.parametrize("service", ["dovecot", "postfix", "opendkim", "opendmarc", "rsyslog", "cron"])
def test_a_killed_service_comes_back(crash_server: Server, service: str) -> None:
    before = crash_server.services()[service]
    crash_server.checked("kill", "-KILL", str(before["pid"]))
    crash_server.until_restarted(service, before["restarts"] + 1)
    crash_server.until("dmsctl health")
    after = crash_server.services()[service]
    assert after["state"] == "ready"
    assert after["pid"] != before["pid"]
    assert after["restarts"] == before["restarts"] + 1
    crash_server.send(ANNA, f"after {service} crashed", port=587, login=ANNA)
    crash_server.receive(ANNA, f"after {service} crashed")


def test_orphans_are_reaped(server: Server) -> None:
    server.checked("bash", "-c", "for i in $(seq 50); do (sh -c 'true & exec true' &) ; done")
    assert "Z" not in server.checked("ps", "-A", "--format", "state=").split()


def test_setup_runs_without_a_server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("alone")
    result = containers.command("setup", "email", "add", ANNA, "a 'strange\" \\ pass.word", config=config)
    assert result.code == 0, result.output
    assert (config / "postfix-accounts.cf").read_text().startswith(f"{ANNA}|{{SHA512-CRYPT}}$6$")
    listed = containers.command("setup", "email", "list", config=config)
    assert ANNA in listed.output


def test_any_command_runs_without_a_server(containers: Containers) -> None:
    result = containers.command("bash", "-c", "echo $0 $DMS_RELEASE $ENABLE_X; exit 7", options=["--env=ENABLE_X=x"])
    assert (result.code, result.output.strip()) == (7, "bash edge x")


def test_the_image_says_what_wrappers_look_for(containers: Containers) -> None:
    template = '{{index .Config.Labels "org.opencontainers.image.title"}}'
    assert containers.checked("image", "inspect", "--format", template, IMAGE).strip() == "docker-mailserver"


def test_old_command_names_are_there(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("names")
    (config / "postfix-accounts.cf").write_text(account(ANNA))
    result = containers.command(
        "bash", "-c", "addalias info@example.test anna@example.test && listalias", config=config
    )
    assert "info@example.test" in result.output
