"""Services that speak sd_notify(3), and others that would like to speak for them."""

import asyncio
import socket
import sys

from dmsinit.plan import Health, Probe, Readiness, Reload, Restart, Service, Stop
from dmsinit.supervisor import Reason, State
from tests.support.bench import Bench

NOTIFY = Readiness(probe=Probe(kind="notify"), timeout_seconds=10)

SPEAKER = """
import os, signal, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGHUP, lambda *_: (say("RELOADING=1"), say("READY=1\\nSTATUS=again")))
signal.signal(signal.SIGUSR1, lambda *_: say("RELOADING=1"))
say("STATUS=loading signatures")
say("READY=1")
for _ in range(int(sys.argv[1])):
    say("WATCHDOG=1")
    time.sleep(int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6)
while True:
    signal.pause()
"""


def speaker(beats: int = 0, **more: object) -> Service:
    command = (sys.executable, "-I", "-c", SPEAKER, str(beats))
    return Service(name="speaker", command=command, ready=NOTIFY, **more)  # type: ignore[arg-type]  # keywords


async def test_ready_when_it_says_so(bench: Bench) -> None:
    await bench.run(speaker(reload=Reload(signal="HUP")))
    await bench.until("speaker", State.READY)
    unit = bench.supervisor.unit("speaker")
    assert unit.status(None, 0).notice == "loading signatures"
    await bench.supervisor.operate("speaker", "reload", wait=True)
    assert unit.status(None, 0).notice == "again"
    bench.supervisor.signal("speaker", "USR1")
    await bench.until("speaker", State.RELOADING)
    assert unit.detail == "announced by the service"
    bench.supervisor.signal("speaker", "HUP")
    await bench.until("speaker", State.READY)


async def test_a_stranger_is_not_believed(bench: Bench) -> None:
    await bench.run(Service(name="mute", command=("sleep", "60"), ready=NOTIFY))
    await bench.until("mute", State.STARTING)
    unit = bench.supervisor.unit("mute")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"READY=1", str(unit.notices.path))
    # The datagram is in the socket's buffer before the event loop turns; after two turns it has been read.
    for _ in range(3):
        await asyncio.sleep(0)
    assert not unit.notices.ready.is_set()
    assert unit.state is State.STARTING


async def test_a_watchdog_that_falls_silent(bench: Bench) -> None:
    health = Health(probe=Probe(kind="notify"), interval_seconds=0.1, failures=2)
    restart = Restart(policy="never")
    await bench.run(speaker(5, health=health, restart=restart, stop=Stop(grace_seconds=5)))
    await bench.until("speaker", State.FAILED)
    unit = bench.supervisor.unit("speaker")
    assert unit.deaths[-1].cause == Reason.PROBE_FAILED
    assert "no WATCHDOG=1 came" in unit.deaths[-1].detail
    assert unit.deaths[-1].seconds_lived > 0.3
