"""Measurements of a supervisor inside its container: `supervisor_inside.py dmsinit|supervisord|s6 TASK …`, JSON out.

The services are shells that announce themselves (`NAME PID`, a line) in the FIFO `started` and then wait for a line in
a FIFO of their own: the exit code to end with. Everything is timed from outside the supervisor, by what its children
do: from the kill (or the order to exit) until the successor's announcement is read. Standard library only.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final

RUN: Final = Path("/bench/run")
SUPERVISORCTL: Final = "/usr/bin/supervisorctl"  # not ours, which comes first in PATH
SCAN: Final = "/bench/scan"
CONFIG: Final = "/bench/supervisord.conf"
PATIENCE_SECONDS: Final = 20.0
"""How long anything may take before it counts as never; the report says so."""
TURN: Final = 10
"""Restarts of each kind in one call of `restarts`."""
_EACH: Final = f'for service in {SCAN}/*; do s6-{{}} "$service"; done'

COMMANDS: Final[dict[str, dict[str, list[str]]]] = {
    "dmsinit": {verb: ["dmsctl", verb, "all"] for verb in ("start", "stop")} | {"status": ["dmsctl", "status"]},
    "supervisord": {
        **{verb: [SUPERVISORCTL, "-c", CONFIG, verb, "all"] for verb in ("start", "stop")},
        "status": [SUPERVISORCTL, "-c", CONFIG, "status"],
    },
    "s6": {
        "start": ["sh", "-c", _EACH.format("svc -u")],
        "stop": ["sh", "-c", f"{_EACH.format('svc -d')}; s6-svwait -D -a {SCAN}/*"],
        "status": ["sh", "-c", _EACH.format("svstat")],
    },
}
"""What a person types for all services at once."""

_PROCESSES: Final = {"s6": (b"s6-svscan", b"s6-supervise")}
"""Programs that are part of the supervisor; of the others it is PID 1 alone."""


class Announcements:
    """The lines that starting services write, with the time at which each was read."""

    def __init__(self) -> None:
        self._fd = os.open(RUN / "started", os.O_RDONLY | os.O_NONBLOCK)
        self._keep = os.open(RUN / "started", os.O_WRONLY)  # else the FIFO is at its end between two writers
        self._rest = b""

    def next(self, deadline: float) -> tuple[list[str], float] | None:
        """Return the names announced by the next read and its time (monotonic), or None at the deadline."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._fd], [], [], left)[0]:
            return None
        data = os.read(self._fd, 65536)
        now = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.split()[0].decode() for line in lines], now

    def until(self, names: Collection[str], deadline: float) -> float | None:
        """Return when the last of `names` was announced, or None when the deadline came first."""
        missing = set(names)
        when = None
        while missing:
            found = self.next(deadline)
            if found is None:
                return None
            missing -= set(found[0])
            when = found[1]
        return when


def services() -> list[str]:
    return sorted(path.stem for path in RUN.glob("*.exit"))


def pid_of(name: str) -> int:
    return int((RUN / f"{name}.pid").read_text())


def tell_to_exit(name: str, code: int) -> None:
    """Let a service end by itself."""
    fd = os.open(RUN / f"{name}.exit", os.O_WRONLY)
    os.write(fd, b"%d\n" % code)
    os.close(fd)


def run(argv: Sequence[str]) -> float:
    """Run a command with its output dropped; return the seconds until it had ended."""
    began = time.monotonic()
    os.waitpid(begin(argv), 0)
    return time.monotonic() - began


def begin(argv: Sequence[str]) -> int:
    """Start a command with its output dropped; return its pid."""
    drop = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    return os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=drop)


# The tasks


def restarts(_name: str, turn: int) -> dict[str, list[float | None]]:
    """Kill services, then let others exit, one after the other; each turn takes others, so it is their first time."""
    announced = Announcements()
    names = services()[2 * TURN * turn :]

    def rounds_of(some: Sequence[str], end: Callable[[str], None]) -> list[float | None]:
        times: list[float | None] = []
        for one in some:
            began = time.monotonic()
            end(one)
            again = announced.until([one], began + PATIENCE_SECONDS)
            times.append(None if again is None else again - began)
            time.sleep(0.05)
        return times

    return {
        "floor": rounds_of(["floor"] * TURN, lambda name: _bare_start(name)),
        "kill": rounds_of(names[:TURN], lambda name: os.kill(pid_of(name), signal.SIGKILL)),
        "exit": rounds_of(names[TURN : 2 * TURN], lambda name: tell_to_exit(name, 0)),
    }


def _bare_start(name: str) -> None:
    """Start what the supervisors start, without a supervisor; it ends by itself at once (its FIFO says so)."""
    begin(["/bin/sh", "/bench/service", name])


def cycles(name: str, rounds: int) -> dict[str, list[float | None]]:
    """Stop all services, until the command says that they are; start them, until all have announced themselves."""
    announced = Announcements()
    stops: list[float | None] = []
    starts: list[float | None] = []
    for _ in range(rounds):
        stops.append(run(COMMANDS[name]["stop"]))
        began = time.monotonic()
        pid = begin(COMMANDS[name]["start"])
        ended = announced.until(services(), began + PATIENCE_SECONDS)
        os.waitpid(pid, 0)
        starts.append(None if ended is None else ended - began)
        time.sleep(1.2)
    return {"stop": stops, "start": starts}


def status(name: str, rounds: int) -> list[float]:
    """Run the status command as a whole process."""
    return [run(COMMANDS[name]["status"]) for _ in range(rounds)]


def processes(name: str) -> list[int]:
    """Return the processes that supervise."""
    programs = _PROCESSES.get(name)
    if programs is None:
        return [1]
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_bytes().strip() in programs]


def memory(name: str, _rounds: int) -> dict[str, int]:
    """Return bytes: RSS of PID 1, and RSS and PSS of all processes that supervise."""
    pids = processes(name)
    return {
        "pid1_rss": _field(1, "smaps_rollup", "Rss") * 1024,
        "rss": sum(_field(pid, "smaps_rollup", "Rss") for pid in pids) * 1024,
        "pss": sum(_field(pid, "smaps_rollup", "Pss") for pid in pids) * 1024,
    }


def _field(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def idle(name: str, seconds: int) -> dict[str, float]:
    """Return wake-ups per second and the share of a processor of all processes that supervise."""
    pids = processes(name)
    before, began = _waking(pids), time.monotonic()
    time.sleep(seconds)
    after, lasted = _waking(pids), time.monotonic() - began
    return {"wakeups": (after[0] - before[0]) / lasted, "cpu": (after[1] - before[1]) / lasted}


def spread_out(_name: str, _number: int) -> None:
    """Let services end one after the other, so that their health probes do not begin together."""
    for one in services():
        tell_to_exit(one, 0)
        time.sleep(0.7)


def _waking(pids: Sequence[int]) -> tuple[int, float]:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    wakeups = sum(_field(pid, "status", "voluntary_ctxt_switches") for pid in pids)
    return wakeups, ticks / os.sysconf("SC_CLK_TCK")


def orphans(name: str, count: int) -> dict[str, Any]:
    """Give PID 1 `count` dead children of a dead parent at once, while every service exits; time until all are reaped.

    Returns the seconds (None: never), how many were left then, how many services came back, and of dmsinit how many
    exit codes it has told right.
    """
    names = services()
    announced = Announcements()
    usual = _process_count()
    parent, go = _parent_of_the_dead(count)
    began = time.monotonic()
    os.write(go, b"x")
    os.waitpid(parent, 0)
    for one in names:
        tell_to_exit(one, 7)
    deadline = began + PATIENCE_SECONDS
    while (left := _process_count() - usual) > len(names) and time.monotonic() < deadline:
        time.sleep(0.005)
    took = time.monotonic() - began
    back = announced.until(names, deadline) is not None
    result = {"seconds": None if left > len(names) else took, "left": max(left, 0), "back": back}
    if name == "dmsinit":
        told = json.loads(os.popen("dmsctl status --json").read())["services"]
        result["codes"] = sum((one["last_exit"] or {}).get("detail") == "exit code 7" for one in told)
    return result


def _process_count() -> int:
    return sum(entry.isdigit() for entry in os.listdir("/proc"))


def _parent_of_the_dead(count: int) -> tuple[int, int]:
    """Return the pid of a process with `count` zombies, and a pipe on which it is told to end."""
    waiting, go = os.pipe()
    done, told = os.pipe()
    pid = os.fork()
    if not pid:
        for _ in range(count):
            if not os.fork():
                os._exit(0)
        os.write(told, b"x")
        os.read(waiting, 1)
        os._exit(0)
    os.read(done, 1)
    return pid, go


TASKS: Final[dict[str, Callable[[str, int], Any]]] = {
    "restarts": restarts, "cycles": cycles, "status": status, "memory": memory, "idle": idle,
    "spread_out": spread_out, "orphans": orphans,
}  # fmt: skip

if __name__ == "__main__":
    json.dump(TASKS[sys.argv[2]](sys.argv[1], int(sys.argv[3])), sys.stdout)
