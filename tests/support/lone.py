"""Scenes that need a process of their own: each runs a supervisor, and prints what it measured as JSON.

python -m tests.support.lone SCENE DIRECTORY [ARGUMENT …]
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from dmsinit.plan import Restart, Service
from dmsinit.supervisor import Children, State
from dmsinit.supervisor.supervisor import resident_bytes
from tests.support.bench import Bench, become_subreaper, running

Figures = dict[str, object]


class Lag:
    """How late the event loop is: a task that wants to run every 10 ms."""

    def __init__(self) -> None:
        self.worst_seconds = 0.0
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self.worst_seconds = max(self.worst_seconds, time.monotonic() - due)

    def stop(self) -> float:
        self._task.cancel()
        return self.worst_seconds


async def flood(children: Children, directory: Path, seconds: str) -> Figures:
    """Three services write as fast as they can, in three ways; a fourth one is killed again and again."""
    async with running(children, directory) as bench:
        floods = {
            "lines": "yes 'a line like those that a daemon writes, only more often'",
            "zeros": "exec cat /dev/zero",
        }
        floods["garbage"] = "exec cat /dev/urandom"
        services = [Service(name=name, command=("sh", "-c", script)) for name, script in floods.items()]
        daemon = Service(name="daemon", command=("sleep", "1000"), restart=Restart(max_delay_seconds=0))
        await bench.run(daemon)
        await bench.until("daemon", State.READY)
        before = resident_bytes(os.getpid())
        await bench.run(daemon, *services)
        lag = Lag()
        used = time.process_time()
        back = []
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            back.append(await _crash(bench, "daemon"))
            await asyncio.sleep(0.2)
        outputs = {name: bench.supervisor.unit(name).tree.output for name in floods}
        return {
            "lag_seconds": lag.stop(),
            "growth_bytes": resident_bytes(os.getpid()) - before,
            "processor_share": (time.process_time() - used) / float(seconds),
            "back_seconds": max(back),
            "read_bytes": {name: output.bytes_read for name, output in outputs.items()},
            "ring_lines": {name: len(output.ring) for name, output in outputs.items()},
            "ring_characters": max(sum(map(len, output.ring)) for output in outputs.values()),
            "file_bytes": {path.name: path.stat().st_size for path in directory.glob("*.log*")},
        }


async def _crash(bench: Bench, name: str) -> float:
    """Kill the main process; return how long it took until the next one ran."""
    pid = bench.pid(name)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await bench.until(name, State.READY, and_=lambda: bench.pid(name) != pid)
    return time.monotonic() - began


MAKER = """
import os, sys
reading, writing = os.pipe()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(1)
print("made", flush=True)
"""


async def orphans(children: Children, _directory: Path, count: str) -> Figures:
    """Thousands of orphans end in one moment, while children under watch end with codes of their own."""
    reading, writing = os.pipe()
    maker = children.spawn([sys.executable, "-I", "-S", "-c", MAKER, count], env=dict(os.environ), stdout=writing)
    os.close(writing)
    watched = [children.spawn(["sh", "-c", f"read line; exit {code}"], env={}, stdin=reading) for code in range(100)]
    loop = asyncio.get_running_loop()
    made = loop.create_future()
    loop.add_reader(reading, made.set_result, None)
    # The children under watch read the same pipe: they all end when the maker does, as its orphans do.
    await made
    loop.remove_reader(reading)
    os.close(reading)
    began = time.monotonic()
    lag = Lag()
    ended = await maker.wait()
    codes = [(await child.wait()).code for child in watched]
    while children.orphans_reaped < int(count):
        await children.spawn(["true"], env={"PATH": os.defpath}).wait()
    return {
        "maker": ended.code,
        "codes": codes,
        "reaped": children.orphans_reaped,
        "seconds": time.monotonic() - began,
        "lag_seconds": lag.stop(),
        "left": _children_left(),
    }


def _children_left() -> int:
    """Return how many children we have, zombies included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return 1


async def crowded(children: Children, directory: Path, uid: str) -> Figures:
    """The kernel allows a user two processes: a second service cannot be started until the first is gone."""
    async with running(children, directory) as bench:
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))  # the limit is not for root
        resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
        restart = Restart(max_delay_seconds=0.05)
        first = Service(name="first", command=("sleep", "1000"), restart=restart)
        second = Service(name="second", command=("sleep", "1000"), restart=restart)
        await bench.run(first)
        await bench.until("first", State.READY)
        await bench.run(first, second)
        await bench.until("second", State.BACKOFF)
        detail = bench.supervisor.unit("second").detail
        await bench.supervisor.operate("first", "stop", wait=True)
        await bench.until("second", State.READY)
        return {"detail": detail, "starts": bench.supervisor.unit("second").starts}


SCENES: dict[str, Callable[..., Awaitable[Figures]]] = {"flood": flood, "orphans": orphans, "crowded": crowded}


async def main(scene: str, directory: Path, *arguments: str) -> None:
    children = Children()
    children.open()
    figures = await SCENES[scene](children, directory, *arguments)
    children.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    become_subreaper()
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
