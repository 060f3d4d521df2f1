"""Measurements of real daemons inside a container that dmsinit runs: `supervisor_daemons.py TASK ROUNDS`, JSON out.

`daemons` kills every daemon that `dmsctl status` shows and compares with its own start-up; `opendkim` restarts and
kills that one under dmsinit, then under supervisord and s6 beside it, as they would run it.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from dmsinit.control.client import Reply, request
from dmsinit.plan import Probe, decode
from dmsinit.probes import ProbeFailed, ask

PATIENCE_SECONDS: Final = 10.0
"""How long a daemon may take to come back before that counts as never."""
POLL_SECONDS: Final = 0.002
CONFIG: Final = "/run/bench-supervisord.conf"
SUPERVISORCTL: Final = "/usr/bin/supervisorctl"  # not ours, which comes first in PATH
SCAN: Final = "/run/bench-scan"
COMMAND: Final = "/usr/sbin/opendkim -f -x /etc/opendkim.conf"
MILTER: Final = Probe(kind="milter", address="inet:127.0.0.1:8891", timeout_seconds=1.0)

Life = tuple[int, str]
"""A process that cannot be mistaken for a later one: pid and start time."""


# Processes


def life(pid: int) -> Life | None:
    """Return the identity of a living process, None when it has ended (or is a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (pid, fields[19])


def all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def tree(pid: int) -> set[Life]:
    """Return a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in all_pids():
        try:
            stat = Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        parents.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(entry)
    found, queue = set(), [pid]
    while queue:
        one = queue.pop()
        queue += parents.get(one, [])
        identity = life(one)
        found |= {identity} if identity else set()
    return found


def answers(probe: Probe) -> bool:
    """Ask once."""

    async def run(argv: Any) -> int:
        process = await asyncio.create_subprocess_exec(*argv, stderr=subprocess.DEVNULL)
        return await process.wait()

    try:
        asyncio.run(ask(probe, run))
    except ProbeFailed:
        return False
    return True


def until(holds: Callable[[], bool], began: float) -> float | None:
    """Return the seconds from `began` until it holds, None when that is never."""
    while not holds():
        if time.monotonic() - began > PATIENCE_SECONDS:
            return None
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


# dmsinit


def get(target: str) -> Any:
    return request("GET", target).json()


def daemons(rounds: int) -> dict[str, Any]:
    """Return for each daemon its own start-up times, and the times from `kill -9` until it answers again."""
    plan = decode(request("GET", "/v1/plan/current").body())
    probes = {service.name: service.ready.probe for service in plan.services}
    running = [one["name"] for one in get("/v1/services") if one["pid"] and one["state"] == "ready"]
    return {name: _daemon(name, probes[name], rounds) for name in running}


def _daemon(name: str, probe: Probe, rounds: int) -> dict[str, list[float | None]]:
    own: list[float | None] = []
    again: list[float | None] = []
    for _ in range(rounds):
        fresh = request("POST", f"/v1/services/{name}/restart?wait=true").json()  # also forgets earlier crashes
        own.append(fresh["ready_seconds"])
        before = tree(fresh["pid"])
        events = request("GET", "/v1/events?limit=0&follow=true")
        began = time.monotonic()
        os.kill(fresh["pid"], signal.SIGKILL)
        again.append(_back(name, probe, before, events, began))
        events.close()
    return {"own": own, "again": again}


def _back(name: str, probe: Probe, before: set[Life], events: Reply, began: float) -> float | None:
    """Return the seconds until dmsinit says that it is ready; None unless it answers then and all old ones are gone."""
    for event in events.lines():
        if time.monotonic() - began > PATIENCE_SECONDS:
            return None
        if (event["service"], event["to"]) == (name, "ready"):
            took = time.monotonic() - began
            alive = [pid for pid, started in before if life(pid) == (pid, started)]
            true = probe.kind == "process" or answers(probe)
            return took if true and not alive else None
    return None


# OpenDKIM under all three


def opendkim(rounds: int) -> dict[str, Any]:
    """Restart until it answers, and kill the parent until a new one answers: seconds, None when that is never."""
    dmsinit = _opendkim(["dmsctl", "restart", "opendkim"], lambda: int(get("/v1/services/opendkim")["pid"]), rounds)
    subprocess.run(["dmsctl", "stop", "opendkim"], check=True, stdout=subprocess.DEVNULL)
    results: dict[str, Any] = {"dmsinit": dmsinit}
    with supervisord() as pid:
        restart = [SUPERVISORCTL, "-c", CONFIG, "restart", "opendkim"]
        results["supervisord"] = _opendkim(restart, pid, rounds)
    with s6() as pid:
        restart = ["s6-svc", "-wR", "-r", f"{SCAN}/opendkim"]
        results["s6"] = _opendkim(restart, pid, rounds)
    return results


def _opendkim(restart: list[str], pid: Callable[[], int], rounds: int) -> dict[str, Any]:
    """Measure under one supervisor, which runs it; first as the image has it, then as a parent and a child."""
    restarts = [_restart(restart) for _ in range(rounds)]
    config = Path("/etc/opendkim.conf")
    usual = config.read_text()
    config.write_text(re.sub(r"(?m)^AutoRestart .*$", "AutoRestart yes", usual))
    try:
        _restart(restart)
        found = {"restart": restarts, "processes": len(tree(pid())), "kill": [_kill(pid)]}
    finally:
        config.write_text(usual)
    return found


def _restart(argv: list[str]) -> float | None:
    """Return the seconds until the command has ended and the filter answers."""
    began = time.monotonic()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = until(lambda: answers(MILTER), began)
    time.sleep(1.5)  # a life of more than a second, so that nobody takes it for a crash loop
    return took


def _kill(pid: Callable[[], int]) -> float | None:
    """Return the seconds until a new instance answers and nothing of the old one is left."""
    before = tree(pid())
    began = time.monotonic()
    os.kill(pid(), signal.SIGKILL)
    return until(lambda: not any(life(one[0]) == one for one in before) and answers(MILTER), began)


def _told(*argv: str) -> bytes:
    return subprocess.check_output(argv, stderr=subprocess.DEVNULL)


@contextmanager
def supervisord() -> Iterator[Callable[[], int]]:
    """Run OpenDKIM under supervisord; yields how to find its pid."""
    Path(CONFIG).write_text(
        "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=/run/bench-supervisord.pid\n"
        "[unix_http_server]\nfile=/run/bench-supervisor.sock\n"
        "[supervisorctl]\nserverurl=unix:///run/bench-supervisor.sock\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[program:opendkim]\ncommand={COMMAND}\nuser=opendkim\nautorestart=true\n"
    )
    with running(["supervisord", "-c", CONFIG]):
        yield lambda: int(_told(SUPERVISORCTL, "-c", CONFIG, "pid", "opendkim"))


@contextmanager
def s6() -> Iterator[Callable[[], int]]:
    """Run OpenDKIM under s6; yields how to find its pid."""
    script = Path(SCAN, "opendkim", "run")
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\nexec s6-setuidgid opendkim {COMMAND}\n")
    script.chmod(0o755)
    with running(["s6-svscan", SCAN]):
        yield lambda: int(_told("s6-svstat", "-o", "pid", str(script.parent)))


@contextmanager
def running(argv: list[str]) -> Iterator[None]:
    """Run a supervisor until its daemon answers, and end both."""
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: answers(MILTER), time.monotonic())
        time.sleep(1.5)
        try:
            yield
        finally:
            for pid, _ in tree(process.pid):
                kill(pid)
    while left := [pid for pid in all_pids() if life(pid) and Path(f"/proc/{pid}/comm").read_text() == "opendkim\n"]:
        for pid in left:  # a child without its parent belongs to nobody here
            kill(pid)
        time.sleep(POLL_SECONDS)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


TASKS: Final[dict[str, Callable[[int], dict[str, Any]]]] = {"daemons": daemons, "opendkim": opendkim}

if __name__ == "__main__":
    json.dump(TASKS[sys.argv[1]](int(sys.argv[2])), sys.stdout)
