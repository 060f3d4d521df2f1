"""dmsctl and supervisorctl as processes of their own, against a real server."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.control.system import Site, service

# dmsctl


async def test_status_is_a_table_for_people(site: Site) -> None:
    code, output, errors = await site.run("dmsctl", "status")
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        "mail.example.test is ready, up 1m10s (release edge, dmsinit 0.1.0, 30.0 MiB)",
        "SERVICE   STATE  PID  UPTIME  RESTARTS   MEMORY  DETAIL",
        "postfix   ready   77   1m01s         0  5.0 MiB",
        "opendkim  ready   77   1m01s         1  5.0 MiB",
        "disabled: clamav",
    ]


async def test_json_is_exactly_what_the_api_answers(site: Site) -> None:
    for arguments, target in (
        (["status"], "/v1/status"),
        (["status", "postfix"], "/v1/services/postfix"),
        (["blame"], "/v1/blame"),
        (["plan"], "/v1/plan"),
        (["plan", "--current"], "/v1/plan/current"),
        (["events"], "/v1/events"),
    ):
        code, output, _ = await site.run("dmsctl", *arguments, "--json")
        assert code == 0
        assert json.loads(output) == json.loads((await site.get(target))[1])


async def test_one_service_is_described_with_its_last_deaths(site: Site) -> None:
    _, output, _ = await site.run("dmsctl", "status", "opendkim")
    assert output.startswith("opendkim — what opendkim does\n")
    assert "exited: exit code 1, after 4.00s" in output


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
async def test_operations_wait_unless_told_otherwise(site: Site, verb: str) -> None:
    code, output, _ = await site.run("dmsctl", verb, "postfix", "opendkim")
    assert code == 0
    assert {line.partition(":")[0] for line in output.splitlines()} == {"postfix", "opendkim"}
    assert set(site.system.asked) == {("postfix", verb, True), ("opendkim", verb, True)}
    site.system.asked.clear()
    assert (await site.run("dmsctl", verb, "--no-wait", "postfix"))[0] == 0
    assert site.system.asked == [("postfix", verb, False)]


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        ("restart", {"postfix", "opendkim"}),
        ("start", {"postfix", "opendkim"}),
        ("stop", {"postfix", "opendkim", "update-check"}),
        ("reload", {"postfix"}),
    ],
)
async def test_all_means_what_the_operation_is_for(site: Site, verb: str, names: set[str]) -> None:
    site.system.services["update-check"] = service("update-check", "exited")
    site.system.may_finish.set()
    assert (await site.run("dmsctl", verb, "all"))[0] == 0
    assert {name for name, *_ in site.system.asked} == names


async def test_a_failure_shows_the_log_of_the_service(site: Site) -> None:
    code, output, errors = await site.run("dmsctl", "reload", "opendkim")
    assert (code, output) == (1, "")
    assert errors.splitlines()[:3] == [
        "dmsctl: cannot reload opendkim: exit code 1; correct its configuration",
        "  the last 20 lines of its log:",
        "  | line 180",
    ]


@pytest.mark.parametrize(
    "arguments", [["status", "postfx"], ["restart", "postfx"], ["logs", "postfx"], ["signal", "postfx", "HUP"]]
)
async def test_an_unknown_service_ends_with_3_and_a_suggestion(site: Site, arguments: list[str]) -> None:
    code, output, errors = await site.run("dmsctl", *arguments)
    assert (code, output) == (3, "")
    assert errors == "dmsctl: no service is called postfx; did you mean postfix?\n"


async def test_wrong_usage_ends_with_2(site: Site) -> None:
    for arguments in ([], ["restart"], ["nonsense"], ["logs", "postfix", "-n", "x"], ["render"]):
        assert (await site.run("dmsctl", *arguments))[0] == 2


async def test_without_dmsinit_every_command_ends_with_4_and_says_why(tmp_path: Path) -> None:
    from tests.integration.control.system import System

    site = Site(tmp_path / "nowhere.sock", System())
    for command in ("status", "health", "metrics", "blame", "version"):
        code, _, errors = await site.run("dmsctl", command)
        assert code == 4
        assert "does not exist; is it running here as PID 1?" in errors
    assert (await site.run("supervisorctl", "status"))[0] == 4


async def test_logs_end_or_follow(site: Site) -> None:
    code, output, _ = await site.run("dmsctl", "logs", "postfix", "-n", "2")
    assert (code, output) == (0, "line 198\nline 199\n")
    process = await site.start("dmsctl", "logs", "postfix", "-f", "-n", "1")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"line 199\n"
    site.system.line.put_nowait("a new one: \x1b ä")
    assert await process.stdout.readline() == "a new one: \x1b ä\n".encode()
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 130
    await site.system.left.wait()
    assert process.stderr is not None
    assert await process.stderr.read() == b""


async def test_a_reader_that_has_enough_ends_the_command_quietly(site: Site) -> None:
    site.system.lines = ["x" * 200] * 5000
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", '"$1" -I -m dmsinit.cli.dmsctl.main logs postfix -n 5000 | head -n 1', "bash", sys.executable,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"DMSINIT_SOCKET": str(site.path), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert await process.communicate() == (b"x" * 200 + b"\n", b"")


async def test_health_is_quiet_when_all_is_well(site: Site) -> None:
    assert await site.run("dmsctl", "health") == (0, "", "")
    site.system.missing = ["postfix is starting", "clamav waits"]
    assert await site.run("dmsctl", "health") == (1, "not ready; postfix is starting; clamav waits\n", "")


async def test_plan_shows_changes_actions_and_lines(site: Site) -> None:
    _, output, _ = await site.run("dmsctl", "plan", "--diff")
    assert output == "modify  /etc/opendkim.conf (opendkim)\nreload  opendkim\n-a\n+b\n"


async def test_apply_can_be_tried(site: Site) -> None:
    assert (await site.run("dmsctl", "apply", "--dry-run"))[0] == 0
    assert (await site.run("dmsctl", "apply"))[0] == 0
    assert site.system.asked == [("apply", True), ("apply", False)]


async def test_a_wrong_configuration_is_an_error_of_apply(site: Site) -> None:
    site.system.broken_configuration = True
    code, _, errors = await site.run("dmsctl", "apply")
    warning = "warning: postfix-main.cf:3: unknown parameter\n"
    assert (code, errors) == (1, f"{warning}dmsctl: postfix-virtual.cf:3: no target; write alias target\n")


async def test_reexec_is_asked_for_when_it_is_possible(site: Site) -> None:
    code, _, errors = await site.run("dmsctl", "reexec")
    assert (code, errors) == (
        1, "dmsctl: cannot re-execute dmsinit: the server is still booting; try again when it is up\n",
    )  # fmt: skip
    site.system.booting = False
    assert (await site.run("dmsctl", "reexec"))[0] == 0
    assert site.system.asked == [("reexec",)]


async def test_metrics_and_version_are_printed(site: Site) -> None:
    assert await site.run("dmsctl", "metrics") == (0, "dms_build_info 1\n", "")
    assert await site.run("dmsctl", "version") == (0, "dmsinit 0.1.0 (release edge)\n", "")


async def test_blame_shows_the_critical_chain(site: Site) -> None:
    _, output, _ = await site.run("dmsctl", "blame")
    assert "critical chain: render 0.400s → opendkim 0.200s → postfix 0.400s" in output


# supervisorctl: what supervisorctl 4.2.5 printed for the same states, names and pids aside


async def test_supervisorctl_status_has_the_columns_of_supervisord(site: Site) -> None:
    site.system.services["failing"] = service("failing", "failed")
    code, output, errors = await site.run("supervisorctl", "status")
    assert (code, errors) == (3, "")
    assert output.splitlines() == [
        "clamav                           STOPPED   Not started",
        "failing                          FATAL     Exited too quickly (process log may have details)",
        "opendkim                         RUNNING   pid 77, uptime 0:01:01",
        "postfix                          RUNNING   pid 77, uptime 0:01:01",
    ]


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("status postfix", 0, "postfix                          RUNNING   pid 77, uptime 0:01:01\n"),
        ("status nope", 4, "nope: ERROR (no such process)\n"),
        ("start postfix", 0, "postfix: ERROR (already started)\n"),
        ("start nope", 1, "nope: ERROR (no such process)\n"),
        ("stop postfix", 0, "postfix: stopped\n"),
        ("stop clamav", 0, "clamav: ERROR (not running)\n"),
        ("stop nope", 1, "nope: ERROR (no such process)\n"),
        ("restart postfix", 0, "postfix: stopped\npostfix: started\n"),
        ("restart postfix:*", 0, "postfix: stopped\npostfix: started\n"),
        ("restart all", 0, "opendkim: stopped\npostfix: stopped\nopendkim: started\npostfix: started\n"),
        ("restart nope", 1, "nope: ERROR (no such process)\nnope: ERROR (no such process)\n"),
        ("stop all", 0, "opendkim: stopped\npostfix: stopped\n"),
        ("signal HUP postfix", 0, "postfix: signalled\n"),
        ("signal FOO postfix", 1, "postfix: ERROR (bad signal name)\n"),
        ("signal HUP nope", 1, "nope: ERROR (no such process)\n"),
        ("pid", 0, "1\n"),
        ("pid postfix", 0, "77\n"),
        ("pid nope", 1, "No such process nope\n"),
        ("pid all", 0, "0\n77\n77\n"),
        ("reread", 0, "opendkim: changed\n"),
        ("update", 0, "opendkim: updated process group\n"),
        ("update nope", 1, "ERROR: no such group: nope\n"),
        ("tail nope", 1, "nope: ERROR (no such process name)\n"),
        ("tail -9 postfix", 0, "line 199\n\n"),
        ("foo", 1, "*** Unknown syntax: foo\n"),
        ("reload", 0, "Restarted supervisord\n"),
        ("-c /etc/supervisor/supervisord.conf stop postfix", 0, "postfix: stopped\n"),
    ],
)
async def test_supervisorctl_says_what_supervisord_says(site: Site, command: str, code: int, output: str) -> None:
    assert await site.run("supervisorctl", *command.split()) == (code, output, "")


async def test_supervisorctl_avail_lists_what_is_in_use(site: Site) -> None:
    _, output, _ = await site.run("supervisorctl", "avail")
    assert output.splitlines()[1] == "opendkim                         in use    auto      999:999"


async def test_supervisorctl_without_a_command_is_wrong_usage(site: Site) -> None:
    assert (await site.run("supervisorctl"))[0] == 2


async def test_supervisorctl_signals_by_the_name_without_sig(site: Site) -> None:
    await site.run("supervisorctl", "signal", "SIGUSR1", "postfix")
    assert site.system.asked == [("postfix", "signal", "USR1")]
