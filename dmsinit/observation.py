"""What the metrics read, taken from the supervisor at the moment of a scrape. Implements metrics.Source."""

from collections.abc import Callable, Mapping, Sequence

from dmsinit.metrics.source import Milter
from dmsinit.supervisor import ServiceStatus, Span, State, Supervisor
from dmsinit.supervisor.proctree import Snapshot
from dmsinit.supervisor.states import AT_REST, Reason


class Observation:
    """The supervisor and the boot, as numbers."""

    def __init__(self, supervisor: Supervisor, spans: Callable[[], Sequence[Span]]) -> None:
        self._supervisor = supervisor
        self._spans = spans

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

    def exits(self) -> Mapping[tuple[str, str], int]:
        """Every end of a process: by itself (then comes backoff or rest), or because somebody stopped it."""
        ends = {str(state) for state in (*AT_REST - {State.DISABLED}, State.BACKOFF)}
        return self._counted(lambda state, _: state in ends)

    def _counted(self, counts: Callable[[str, str], bool]) -> Mapping[tuple[str, str], int]:
        totals: dict[tuple[str, str], int] = {}
        for (service, state, reason), count in self._supervisor.world.events.counts.items():
            if counts(state, reason):
                totals[service, reason] = totals.get((service, reason), 0) + count
        return totals

    def milters(self) -> Mapping[str, Milter]:
        return {
            name: Milter(unit.state in (State.READY, State.RELOADING), unit.answers.last_seconds)
            for name, unit in self._supervisor.units.items()
            if unit.service.enabled and unit.service.ready.probe.kind == "milter"
        }

    def spans(self) -> Sequence[Span]:
        return self._spans()

    def accounts(self) -> int | None:
        return self._supervisor.plan.accounts if self._supervisor.plan else None

    def aliases(self) -> int | None:
        return self._supervisor.plan.aliases if self._supervisor.plan else None
