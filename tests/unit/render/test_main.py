"""`dmsinit render` as a process: the protocol that PID 1 speaks with it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

import msgspec
import pytest

from dmsinit.plan import Change, Plan
from dmsinit.render.main import parse
from dmsinit.render.paths import WORK
from dmsinit.render.tls.certificate import Making
from tests.unit.render.conftest import System

FQDN = "mail.example.test"


@pytest.fixture(autouse=True)
def configuration(system: System) -> None:
    system.template("etc/mailname.j2", "{{ host.domain }}\n")
    system.template("etc/postfix/virtual.j2", "{% for a in volume.aliases %}\n{{ a.address }}\n{% endfor %}\n")
    system.template("manifest.toml", '["/etc/postfix/virtual"]\nmode = "0640"\n')
    system.service("postfix", 'command = ["/usr/sbin/postfix"]\nfiles = ["/etc/postfix/**"]\n')


def start(system: System, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dmsinit", "render", *arguments, "--root", str(system.directory)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], **environ},
    )  # fmt: skip


def run(system: System, mode: str, **environ: str) -> tuple[int, list[dict[str, Any]], str]:
    process = start(system, mode, **environ)
    out, log = process.communicate("\n" if mode == "--boot" else "", timeout=60)
    return process.returncode, [json.loads(line) for line in out.splitlines()], log


def of_kind(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]


def lines(stream: IO[str] | None) -> Iterator[dict[str, Any]]:
    assert stream is not None
    for line in stream:
        yield json.loads(line)


def test_boot_installs_waits_for_the_patches_and_then_reads_services(system: System) -> None:
    system.volume("user-patches.sh", "true\n")
    process = start(system, "--boot", LOG_LEVEL="debug", RELAY_PASSWORD="very secret")
    messages = lines(process.stdout)
    installed = next(message for message in messages if message["type"] == "installed")
    assert installed == {
        "type": "installed", "fqdn": FQDN, "user_patches": "/tmp/docker-mailserver/user-patches.sh",
    }  # fmt: skip
    assert system.read("/etc/mailname") == "example.test\n"
    assert system.path("/etc/postfix/virtual").stat().st_mode & 0o777 == 0o640
    assert system.path("/var/mail/hill.test/anna/home").is_dir()
    assert "RELAY_PASSWORD='very secret'\n" in system.read("/etc/dms-settings")
    system.write("/etc/dmsinit/services/own.toml", 'command = ["/own"]\n')  # as user-patches.sh may do
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    rest = list(messages)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert "secrets are masked" in log
    assert "very secret" not in log
    plan = msgspec.convert(of_kind(rest, "plan")[0]["plan"], Plan)
    assert plan.fqdn == FQDN
    assert [service.name for service in plan.services] == ["own", "postfix"]
    assert [one.file for one in plan.certificates] == [f"/etc/dms/tls/{FQDN}-made-cert.pem"]
    assert system.path("/CONTAINER_START").exists()


def test_a_start_makes_the_file_for_quotas_and_no_change_of_it(system: System) -> None:
    quotas = "/tmp/docker-mailserver/dovecot-quotas.cf"
    assert run(system, "--boot", ENABLE_QUOTAS="0")[0] == 0
    assert not system.path(quotas).exists()
    assert run(system, "--boot")[0] == 0
    assert system.read(quotas) == ""
    code, messages, _ = run(system, "--detect")
    assert (code, [m["type"] for m in messages if m["type"] not in ("phase", "note")]) == (0, ["unchanged"])


def test_windows_line_endings_are_replaced_at_a_start_only(system: System) -> None:
    written = system.volume("postfix-virtual.cf", "info@hill.test anna@hill.test\r\n")
    with start(system, "--check") as check:
        assert check.wait(60) == 0
    assert written.read_bytes().endswith(b"\r\n")
    code, _, log = run(system, "--boot")
    assert code == 0
    assert log.count("postfix-virtual.cf:1: had Windows line endings") == 1
    assert written.read_bytes() == b"info@hill.test anna@hill.test\n"


def test_phases_are_told_in_their_order(system: System) -> None:
    code, messages, _ = run(system, "--boot")
    phases = of_kind(messages, "phase")
    assert code == 0
    assert [phase["name"] for phase in phases] == ["settings", "render", "validate", "install", "services"]
    times = [time for phase in phases for time in (phase["began"], phase["ended"])]
    assert times == sorted(times)


def test_apply_changes_what_differs_and_names_its_service(system: System) -> None:
    run(system, "--boot")
    system.volume("postfix-virtual.cf", "info@hill.test anna@hill.test\n")
    _, planned, _ = run(system, "--plan")
    assert "info" not in system.read("/etc/postfix/virtual")
    code, messages, _ = run(system, "--apply")
    assert code == 0
    assert system.read("/etc/postfix/virtual") == "info@hill.test\n"
    expected = [Change(path="/etc/postfix/virtual", action="modify", service="postfix")]
    for answer in (planned, messages):
        assert msgspec.convert(of_kind(answer, "plan")[0]["changes"], list[Change]) == expected


def test_second_apply_writes_nothing_and_says_nothing(system: System) -> None:
    run(system, "--boot")
    before = {path: entry for path, entry in system.tree().items() if "/var/lib/dmsinit/" not in path}
    code, messages, log = run(system, "--apply")
    assert code == 0
    assert of_kind(messages, "plan")[0]["changes"] == []
    assert log == ""
    after = {path: entry for path, entry in system.tree().items() if "/var/lib/dmsinit/" not in path}
    assert after == before


def test_no_account_means_waiting(system: System) -> None:
    system.volume("postfix-accounts.cf", "# nobody yet\n")
    code, messages, _ = run(system, "--boot")
    assert code == 75
    assert messages[-1] == {"type": "waiting"}
    assert run(system, "--boot", SMTP_ONLY="1")[0] == 0


def test_everything_wrong_is_told_at_once_and_nothing_is_changed(system: System) -> None:
    system.volume("postfix-accounts.cf", "anna\n")
    system.volume("services/own.toml", "comand = 1\n")
    code, messages, log = run(system, "--boot", SSL_TYPE="manual", SSL_CERT_PATH="/cert", SSL_KEY_PATH="/key")
    assert code == 78
    found = messages[-1]
    assert (found["type"], found["fqdn_missing"]) == ("invalid", False)
    wheres = {problem["where"] for problem in found["problems"]}
    assert {"postfix-accounts.cf:1", "SSL_TYPE=manual", "services/own.toml:1", "services/own.toml"} <= wheres
    for where in wheres:
        assert f"ERROR dmsinit: {where}: " in log
    assert not system.path("/etc/mailname").exists()


def test_settings_that_are_refused(system: System) -> None:
    code, messages, log = run(system, "--boot", SSL_TYPE="nosuch")
    assert code == 78
    assert messages[-1]["problems"][0]["where"] == "SSL_TYPE"
    assert "Traceback" not in log


def test_missing_host_name(system: System) -> None:
    system.write("/etc/hosts", f"10.0.0.2 0123abcd {os.uname().nodename}\n")
    if "." in os.uname().nodename:
        code, messages, _ = run(system, "--boot", OVERRIDE_HOSTNAME="bare")
    else:
        code, messages, _ = run(system, "--boot")
    assert code == 78
    assert messages[-1]["fqdn_missing"] is True


def test_check_is_text_and_leaves_no_trace(system: System) -> None:
    before = system.tree()
    process = start(system, "--check")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.splitlines()[-1] == f"the configuration of {FQDN} is valid"
    system.volume("services/own.toml", "comand = 1\n")
    process = start(system, "--check")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "error: services/own.toml:1: there is no key comand; did you mean command?\n" in out
    assert {path for path in system.tree() if "own.toml" not in path} == set(before)


def test_check_leaves_what_it_rendered_where_it_is_told_to(system: System) -> None:
    into = system.path("/rendered")
    process = start(system, "--check", "--into", str(into))
    assert process.communicate(timeout=60)[0].endswith(" is valid\n")
    assert (into / "etc/mailname").read_text() == "example.test\n"
    assert into.stat().st_mode & 0o777 == 0o700
    process = start(system, "--check", "--into", str(into))
    assert "exists already" in process.communicate(timeout=60)[1]
    assert process.returncode == 64
    assert (into / "etc/mailname").exists()


def test_defect_is_one_line(system: System) -> None:
    system.write(WORK, "a file where a directory belongs")
    code, _, log = run(system, "--boot")
    assert code == 70
    assert log.splitlines()[-1].startswith(log.splitlines()[-1][:25] + " ERROR dmsinit: cannot render")
    assert "Traceback" not in log


def test_compile_fills_the_cache(system: System) -> None:
    process = start(system, "--compile")
    out, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert out == "compiled 2 templates\n"
    assert run(system, "--boot")[0] == 0


def test_renewed_certificate_in_use_is_a_change_of_its_services(system: System) -> None:
    live = f"/etc/letsencrypt/live/{FQDN}"
    system.path(live).mkdir(parents=True)
    assert Making(FQDN, f"{live}/fullchain.pem", f"{live}/privkey.pem", system.root).finish() == []
    system.service("postfix", 'command = ["/x"]\nfiles = ["{{ tls.cert }}"]\n')
    assert run(system, "--boot", SSL_TYPE="letsencrypt")[0] == 0
    chain = system.path(f"{live}/fullchain.pem")
    chain.write_text(chain.read_text() + "\n")
    _, messages, _ = run(system, "--apply", SSL_TYPE="letsencrypt")
    changes = of_kind(messages, "plan")[0]["changes"]
    assert {"path": f"{live}/fullchain.pem", "action": "modify", "service": "postfix"} in changes


@pytest.mark.parametrize(
    "argv", [[], ["--nosuch"], ["--boot", "--apply"], ["boot"], ["--boot", "--root"], ["--boot", "--into", "x"]]
)
def test_usage(argv: list[str]) -> None:
    assert parse(argv) is None
