"""Random sequences of everything that can happen to services, against a model of a few lines.

The model knows what is wanted and what is broken; where each service has to arrive follows from that. A witness sees
every transition as it is made. Timing is free: only where things end up is asked, and what never may be.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dmsinit.plan import Health, Plan, Probe, Readiness, Reload, Restart, Service, start_order
from dmsinit.supervisor import Children, Event, OperationFailed, Reason, State
from dmsinit.supervisor.events import Events
from dmsinit.supervisor.proctree import Process, Snapshot
from dmsinit.supervisor.states import ANSWERING, RUNNING, TRANSITIONS
from dmsinit.supervisor.unit import Unit
from tests.support.bench import Bench, become_subreaper, running

SETTLE_SECONDS = 100

ANSWERER = """
import os, signal, socket, sys
signal.signal(signal.SIGHUP, lambda *_: None)
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(50)
while True:
    client, _ = server.accept()
    client.send(b"220 hello\\r\\n")
    client.close()
"""

REQUIRES = {"user": ("base",), "top": ("user",)}
WANTS = {"friend": ("base",)}
AFTER = {"friend": ("user",)}
NAMES = ("base", "user", "top", "friend", "answerer")
name = st.sampled_from(NAMES)


class Witness(Events):
    """Sees every transition in the moment it is made, and notes what must not be."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.bench: Bench | None = None
        self.last: dict[str, State] = {}
        self.in_order: set[str] = set()
        """Services that stop after those that require them, unless somebody changes his mind meanwhile."""

    def publish(self, event: Event) -> None:
        super().publish(event)
        old, new = State(event.from_state), State(event.to_state)
        if new not in TRANSITIONS[old] or self.last.get(event.service, old) is not old:
            self.wrong.append(f"{event}: not from {self.last.get(event.service)}")
        self.last[event.service] = new
        assert self.bench is not None
        units = self.bench.supervisor.units
        if new is State.STARTING:
            required = [units[other] for other in units[event.service].service.requires]
            self.wrong += [f"{event}: {one.name} is {one.state}" for one in required if one.state not in ANSWERING]
        if new is State.STOPPING and not units[event.service].wanted:
            self.in_order.add(event.service)
        if new is State.STOPPED and event.service in self.in_order:
            self.in_order.discard(event.service)
            users = [one for one in units.values() if event.service in one.service.requires]
            self.wrong += [f"{event}: {one.name} still runs" for one in users if one.state in RUNNING]


class Machine(RuleBasedStateMachine):
    """The real supervisor beside its model: `wanted`, `broken`, `variant` and what is `enabled`."""

    def __init__(self) -> None:
        super().__init__()
        become_subreaper()
        self.descriptors = descriptors()
        self.directory = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.witness = Witness()
        self.enabled: set[str] = set()
        self.present: set[str] = set()
        self.wanted: set[str] = set()
        self.broken: set[str] = set()
        self.variant = dict.fromkeys(NAMES, 0)

    # The real thing

    async def open(self) -> None:
        self.children = Children()
        self.children.open()
        self.stack.callback(self.children.close)
        directory = Path(self.directory.name)
        self.bench = await self.stack.enter_async_context(running(self.children, directory, self.witness))
        self.witness.bench = self.bench

    def do(self, name: str, verb: str, *, wait: bool) -> bool:
        """Operate; say whether it was done."""
        try:
            self.loop.run_until_complete(self.bench.supervisor.operate(name, verb, wait=wait))  # type: ignore[arg-type]  # a literal
        except OperationFailed:
            return False
        return True

    def service(self, name: str) -> Service:
        socket = f"{self.directory.name}/socket"
        probe = Probe(kind="smtp", address=f"unix:{socket}", timeout_seconds=0.2)
        if name in self.broken:
            command: tuple[str, ...] = ("sh", "-c", f"exit {3 + self.variant[name]}")
        elif name == "answerer":
            command = (sys.executable, "-I", "-S", "-c", ANSWERER, socket, str(self.variant[name]))
        elif name in ("base", "top"):  # these leave a child behind when they are killed
            command = ("sh", "-c", f"sleep 1000 & exec sleep {1000 + self.variant[name]}")
        else:
            command = ("sleep", str(1000 + self.variant[name]))
        return Service(
            name=name,
            command=command,
            enabled=name in self.enabled,
            requires=tuple(other for other in REQUIRES.get(name, ()) if other in self.enabled),
            wants=tuple(other for other in WANTS.get(name, ()) if other in self.present),
            after=tuple(other for other in AFTER.get(name, ()) if other in self.present),
            ready=self.readiness(name, probe),
            health=Health(probe=probe, interval_seconds=0.05, failures=2) if name == "answerer" else None,
            reload=Reload(signal="HUP") if name == "answerer" else None,
            restart=Restart(max_delay_seconds=0.01, give_up_after=2 if name in self.broken else 0,
                            give_up_within_seconds=60),
        )  # fmt: skip

    def readiness(self, name: str, probe: Probe) -> Readiness:
        if name in self.broken:
            return Readiness(probe=Probe(kind="file", address="/nonexistent"))
        return Readiness(probe=probe) if name == "answerer" else Readiness()

    # The model

    def up(self, name: str) -> bool:
        return name in self.enabled & self.wanted - self.broken and self.may_run(name)

    def may_run(self, name: str) -> bool:
        return all(self.up(other) for other in REQUIRES.get(name, ()) if other in self.enabled)

    def expected(self, name: str) -> set[State]:
        if name not in self.enabled:
            return {State.DISABLED}
        if self.up(name):
            return {State.READY}
        if name not in self.wanted:
            return {State.STOPPED}
        if self.may_run(name):
            return {State.FAILED}
        return {State.STOPPED, State.WAITING} | ({State.FAILED} if name in self.broken else set())

    def settle(self) -> None:
        self.loop.run_until_complete(self._settle())
        units = self.bench.supervisor.units
        left = {name: found for name, found in processes().items() if name and units[name].state not in RUNNING}
        assert left == {}

    async def _settle(self) -> None:
        units = self.bench.supervisor.units
        assert set(units) == self.present
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while late := [one for one in units.values() if not self.arrived(one)]:
                    await late[0].changed.wait()
        except TimeoutError:
            told = [f"{one.name} is {one.state}, not {self.expected(one.name)}" for one in late]
            history = [(e.service, e.from_state, e.to_state, e.reason) for e in self.witness.recent]
            raise AssertionError(f"{told}; {history}") from None

    def arrived(self, unit: Unit) -> bool:
        """Say whether it is where it has to arrive, with nothing under way."""
        pending = unit.scope is not None and unit.scope.cancel_called
        return unit.state in self.expected(unit.name) and not pending

    # What happens

    @initialize(names=st.sets(name, min_size=3))
    def boot(self, names: set[str]) -> None:
        self.loop.run_until_complete(self.open())
        self.converge(names, set(), set(), set(), Reason.BOOT)

    @rule(name=name, wait=st.booleans())
    def start(self, name: str, wait: bool) -> None:
        if name in self.enabled:
            self.wanted.add(name)
            self.witness.in_order.clear()
            assert self.do(name, "start", wait=wait) == (not wait or self.up(name))

    @rule(name=name, wait=st.booleans())
    def stop(self, name: str, wait: bool) -> None:
        if name in self.present:
            self.wanted.discard(name)
            assert self.do(name, "stop", wait=wait)

    @rule(name=name, wait=st.booleans())
    def restart(self, name: str, wait: bool) -> None:
        if name in self.enabled:
            self.wanted.add(name)
            self.witness.in_order.clear()
            assert self.do(name, "restart", wait=wait) == (not wait or self.up(name))

    @rule(name=name)
    def reload(self, name: str) -> None:
        self.settle()
        if name in self.enabled:
            pid = self.bench.pid(name) if self.up(name) else 0
            assert self.do(name, "reload", wait=True) == (self.up(name) and name == "answerer")
            assert not pid or self.bench.pid(name) == pid

    @rule(name=name)
    def crash(self, name: str) -> None:
        self.settle()
        if self.up(name):
            others = {
                one: self.bench.pid(one) for one in self.enabled if self.up(one) and one not in (name, "answerer")
            }
            self.replaced(name, signal.SIGKILL)
            assert {one: self.bench.pid(one) for one in others} == others

    @rule()
    def hang(self) -> None:
        self.settle()
        if self.up("answerer"):
            self.replaced("answerer", signal.SIGSTOP)

    def replaced(self, name: str, number: int) -> None:
        before = self.bench.pid(name)
        os.kill(before, number)
        self.loop.run_until_complete(self.bench.until(name, State.READY, and_=lambda: self.bench.pid(name) != before))

    @rule(present=st.sets(name, min_size=1), disabled=st.sets(name), changed=st.sets(name), broken=st.sets(name))
    def apply(self, present: set[str], disabled: set[str], changed: set[str], broken: set[str]) -> None:
        self.converge(present, disabled, changed, broken, Reason.CONFIG_CHANGED)

    def converge(
        self, present: set[str], disabled: set[str], changed: set[str], broken: set[str], reason: Reason
    ) -> None:
        touched = (changed | broken ^ self.broken) & present
        self.variant.update({one: self.variant[one] + 1 for one in changed})
        enabled = present - disabled
        self.wanted = self.wanted & enabled | enabled - self.enabled
        self.present, self.enabled, self.broken = present, enabled, broken & present
        plan = Plan(fqdn="mail.example.test", services=tuple(map(self.service, sorted(present))))
        start_order(plan.services)
        self.witness.in_order.clear()
        failure = self.loop.run_until_complete(self._converge(plan, reason))
        assert failure is None or any(not self.up(one) for one in touched & self.wanted), failure
        for gone in self.witness.last.keys() - present:  # should it come back, it begins anew
            del self.witness.last[gone]

    async def _converge(self, plan: Plan, reason: Reason) -> OperationFailed | None:
        try:
            await self.bench.supervisor.converge(plan, [], reason)
        except OperationFailed as failure:
            return failure
        return None

    # What holds

    @rule()
    def everything_arrives(self) -> None:
        self.settle()

    @invariant()
    def no_forbidden_transition(self) -> None:
        assert self.witness.wrong == []

    @invariant()
    def one_main_process_each(self) -> None:
        for name, found in processes().items():
            if not name:
                continue  # cannot be told in this moment
            mains = [process for process in found if process.session == process.pid]
            assert len(mains) <= 1, name

    def teardown(self) -> None:
        try:
            if self.present:
                self.settle()
            self.loop.run_until_complete(self.stack.aclose())
            assert processes() == {}
            assert self.witness.wrong == []
        finally:
            self.loop.close()
            self.directory.cleanup()
        assert descriptors() == self.descriptors


def descriptors() -> Counter[str]:
    """Return what our descriptors point to, but for the reserve (/dev/null) and copies of the standard ones."""
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.lexists(link)]
    passing = {"/dev/null", *(os.readlink(f"/proc/self/fd/{fd}") for fd in range(3))}
    return Counter(target.split(":")[0] for target in targets if target not in passing)


def processes() -> dict[str, list[Process]]:
    """Return our descendants that run, by the service whose mark they carry; "" in the middle of an exec."""
    seen = Snapshot()
    found: dict[str, list[Process]] = {}
    queue = [os.getpid()]
    while queue:
        for process in seen.children.get(queue.pop(), ()):
            queue.append(process.pid)
            found.setdefault(seen.marker(process.pid) or "", []).append(process)
    return found


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=int(os.environ.get("DMS_MACHINE_EXAMPLES", "12")),
    stateful_step_count=20,
    deadline=None,
    derandomize="DMS_MACHINE_EXAMPLES" not in os.environ,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)
