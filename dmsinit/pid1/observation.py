"""What the metrics read, taken from the supervisor at the moment of a scrape. Implements metrics.Source."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Protocol

from dmsinit.metrics.source import Logged, Milter, Scanner
from dmsinit.plan import Service
from dmsinit.supervisor import Applies, ServiceStatus, Span, State, Supervisor
from dmsinit.supervisor.lag import Lag
from dmsinit.supervisor.proctree import Snapshot
from dmsinit.supervisor.states import AT_REST, COMPLETE, Reason


class Whole(Protocol):
    """What is to be observed beside the supervisor: dmsinit as a whole."""

    @property
    def began(self) -> float: ...
    @property
    def applies(self) -> Applies: ...
    @property
    def clients(self) -> Sized: ...

    def readyz(self) -> tuple[bool, Sequence[str]]: ...
    def blame(self) -> Sequence[Span]: ...


def _asked(service: Service) -> tuple[str, ...]:
    """Return the kinds of the probes of a service."""
    return (service.ready.probe.kind, *([service.health.probe.kind] if service.health else []))


class Observation:
    """The supervisor, the boot and the configuration, as numbers."""

    def __init__(self, supervisor: Supervisor, whole: Whole) -> None:
        self._supervisor = supervisor
        self._whole = whole

    @property
    def lag(self) -> Lag:
        return self._supervisor.runtime.lag

    def ready(self) -> bool:
        return self._whole.readyz()[0]

    def started_at(self) -> float:
        """To the second, so that the correction of a clock is no restart."""
        return float(round(time.time() - (time.monotonic() - self._whole.began)))

    def control_clients(self) -> int:
        return len(self._whole.clients)

    def services(self) -> Sequence[ServiceStatus]:
        return [unit.status(None, 0) for unit in self._supervisor.units.values()]

    def pids(self) -> Mapping[str, Sequence[int]]:
        snapshot = Snapshot()
        return {
            name: [process.pid for process in unit.tree.members(snapshot)]
            for name, unit in self._supervisor.units.items()
        }

    def restarts(self) -> Mapping[tuple[str, str], int]:
        """Every start but those of the boot."""
        return self._counted(lambda state, reason: state == State.STARTING and reason != Reason.BOOT)

    def busy(self) -> Mapping[str, int]:
        """At work, and too busy to answer its probe: each time that began."""
        totals: Counter[str] = Counter()
        for (service, state, _), count in self._supervisor.runtime.events.counts.items():
            totals[service] += count if state == State.BUSY else 0
        return totals

    def exits(self) -> Mapping[tuple[str, str], int]:
        """Every end of a process: by itself (then comes backoff or rest), or because somebody stopped it."""
        ends = {str(state) for state in (*AT_REST - {State.DISABLED}, State.BACKOFF)}
        return self._counted(lambda state, _: state in ends)

    def _counted(self, counts: Callable[[str, str], bool]) -> Mapping[tuple[str, str], int]:
        totals: dict[tuple[str, str], int] = {}
        for (service, state, reason), count in self._supervisor.runtime.events.counts.items():
            if counts(state, reason):
                totals[service, reason] = totals.get((service, reason), 0) + count
        return totals

    def logged(self) -> Mapping[str, Logged]:
        outputs = {name: unit.tree.output for name, unit in self._supervisor.units.items()}
        return {name: Logged(output.bytes_read, output.bytes_lost) for name, output in outputs.items()}

    def milters(self) -> Mapping[str, Milter]:
        return {
            name: Milter(unit.state in COMPLETE, unit.answers.last_seconds)
            for name, unit in self._supervisor.units.items()
            if unit.service.enabled and "milter" in _asked(unit.service)
        }

    def scanner(self) -> Scanner | None:
        for name, unit in self._supervisor.units.items():
            if unit.service.enabled and unit.service.ready.probe.kind == "clamd":
                return Scanner(name, unit.service.ready.probe.address)
        return None

    def spans(self) -> Sequence[Span]:
        return self._whole.blame()

    def applies(self) -> Applies:
        return self._whole.applies

    def certificates(self) -> Mapping[str, float]:
        plan = self._supervisor.plan
        return {one.file: one.expires for one in plan.certificates} if plan else {}

    def accounts(self) -> int | None:
        return self._supervisor.plan.accounts if self._supervisor.plan else None

    def aliases(self) -> int | None:
        return self._supervisor.plan.aliases if self._supervisor.plan else None
