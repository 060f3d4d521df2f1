"""Memory runs out in a container with a limit: the kernel ends one service, and everybody can see which and why."""

from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, account

HOG = '''
description = "takes more memory than there is, once it is told to"
command = ["/usr/bin/python3", "-I", "-c", """
import os, signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
signal.sigwait({signal.SIGUSR1})
x = b"x" * (2 << 30)
"""]

[ready]
probe = "notify"

[restart]
delay = "0s"

[limits]
oom_score_adj = 900
'''


@pytest.mark.parametrize("namespace", ["private", "host"])
def test_an_oom_kill_is_told_as_such_and_spares_the_rest(start: Start, namespace: str) -> None:
    files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}"), "services/hog.toml": HOG}
    server = start(files, options=("--memory=500m", "--memory-swap=500m", f"--cgroupns={namespace}")).wait_until_up()
    before = server.pids()
    server.checked("dmsctl", "signal", "hog", "USR1")
    server.wait_for_log("hog ended after")
    server.checked("dmsctl", "start", "hog")  # is ready: it was started again at once
    hog = server.services()["hog"]
    assert hog["state"] == "ready"
    assert hog["pid"] != before["hog"]
    assert (hog["last_exit"]["cause"], hog["last_exit"]["detail"]) == (
        "oom-killed",
        "killed by the kernel: out of memory",
    )
    assert "give the container more memory" in hog["last_exit"]["hint"]
    assert "hint: give the container more memory" in server.log()
    metrics = server.checked("dmsctl", "metrics")
    assert 'dms_oom_kills_total{service="hog"} 1.0' in metrics
    assert 'dms_oom_kills_total{service="postfix"} 0.0' in metrics
    after = server.pids()
    assert {name: pid for name, pid in after.items() if name != "hog"} == {
        name: pid for name, pid in before.items() if name != "hog"
    }

    # A kill by hand is no matter of memory.
    server.checked("dmsctl", "signal", "hog", "KILL")
    server.wait_for_log("killed by SIGKILL")
    server.checked("dmsctl", "start", "hog")
    assert server.services()["hog"]["last_exit"]["cause"] == "signalled"
    server.stop()
    assert server.exit_code() == 0
    assert not Path("oom").exists()  # what podman writes where it is called
