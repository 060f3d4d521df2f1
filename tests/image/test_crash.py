"""kill -9 at every step of an apply, and a disk without room: the next boot works, and nothing of a user's is lost."""

from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, Server, account

ANNA: Final = account(f"anna@{DOMAIN}")

STOP_AT: Final = r"""
import os, signal, subprocess, sys, time
# Runs `dmsinit render --apply` and stops it with SIGKILL right after the N-th system call that changes a file's name.
# 1, 2, …: each rename(2) is a step of the installation.
code = '''
import os, signal, sys
left = int(sys.argv.pop(1))
real = os.rename
def rename(source, target, **more):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    real(source, target, **more)
os.rename = os.replace = rename
sys.argv[0] = "dmsinit"
from dmsinit.render.main import main
sys.exit(main(sys.argv[1:]))
'''
child = subprocess.run([sys.executable, "-c", code, sys.argv[1], sys.argv[2]], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.returncode)
"""


@pytest.fixture(scope="module")
def server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {"postfix-accounts.cf": ANNA}
    server = containers.start(files, tmp_path_factory.mktemp("crash"), environment={"ENABLE_AMAVIS": "0"})
    yield server.wait_until_up()
    server.remove()


def in_force(server: Server, number: int) -> Sequence[str]:
    return (
        server.checked("postconf", "-h", "max_idle").strip(),
        server.checked("postmap", "-q", f"alias-{number}@{DOMAIN}", "texthash:/etc/postfix/virtual").strip(),
    )


def test_a_render_that_is_killed_at_any_step_is_completed_by_the_next(server: Server) -> None:
    server.checked("supervisorctl", "stop", "changedetector")
    step, killed = 0, 0
    while True:
        (server.config / "postfix-main.cf").write_text(f"max_idle = {60 + step}s\n")
        (server.config / "postfix-virtual.cf").write_text(f"alias-{step}@{DOMAIN} anna@{DOMAIN}\n")
        code = int(server.checked("python3", "-c", STOP_AT, str(step), "--apply"))
        server.checked("postfix", "check")
        server.checked("doveconf", "-n")
        (server.config / "check-for-changes.sh.lock").unlink(missing_ok=True)  # else the next one waits a minute
        server.checked("dmsctl", "apply")
        assert in_force(server, step) == (f"{60 + step}s", f"anna@{DOMAIN}")
        step += 1
        if code == 0:
            break
        killed += 1
    assert killed >= 5
    server.checked("supervisorctl", "start", "changedetector")
    server.checked("dmsctl", "health")


@pytest.mark.parametrize("step", [0, 1, 3, 6])
def test_a_boot_after_a_render_that_was_killed(start: Start, step: int) -> None:
    server = start(environment={"ENABLE_AMAVIS": "0"}).wait_until_up()
    server.checked("supervisorctl", "stop", "changedetector")
    (server.config / "postfix-main.cf").write_text("max_idle = 77s\n")
    (server.config / "postfix-virtual.cf").write_text(f"alias-0@{DOMAIN} anna@{DOMAIN}\n")
    assert int(server.checked("python3", "-c", STOP_AT, str(step), "--apply")) != 0
    server.kill()  # PID 1 with it
    server.containers.checked("start", server.name)
    server.wait_until_up(2)
    assert in_force(server, 0) == ("77s", f"anna@{DOMAIN}")
    server.checked("dmsctl", "health")


def test_pid_1_is_killed_during_an_apply(start: Start) -> None:
    server = start(environment={"ENABLE_AMAVIS": "0"}).wait_until_up()
    for number in range(4):
        with (server.config / "postfix-accounts.cf").open("a") as file:
            file.write(account(f"user-{number}@{DOMAIN}"))
        server.kill()
        server.containers.checked("start", server.name)
        server.wait_until_up(number + 2)
        assert f"user-{number}@{DOMAIN}:" in server.checked("cat", "/etc/dovecot/userdb")


def test_a_full_disk_changes_nothing_and_the_next_apply_works(start: Start) -> None:
    server = start(
        environment={"ENABLE_AMAVIS": "0"}, options=["--tmpfs", "/var/lib/dmsinit:size=2m,mode=0700"]
    ).wait_until_up()
    fill = "head -c 4m /dev/zero > /var/lib/dmsinit/filler 2> /dev/null; df --output=avail /var/lib/dmsinit | tail -1"
    assert server.checked("bash", "-c", fill).strip() == "0"
    server.checked("supervisorctl", "stop", "changedetector")
    (server.config / "postfix-main.cf").write_text("max_idle = 66s\n")
    refused = server.run("dmsctl", "apply")
    assert refused.code == 1
    assert "No space left on device" in refused.output + server.log()
    assert "Traceback" not in refused.output + server.log()
    assert server.checked("postconf", "-h", "max_idle").strip() == "100s"
    with server.imap(f"anna@{DOMAIN}"):
        pass
    server.checked("rm", "/var/lib/dmsinit/filler")
    server.checked("dmsctl", "apply")
    assert server.checked("postconf", "-h", "max_idle").strip() == "66s"
