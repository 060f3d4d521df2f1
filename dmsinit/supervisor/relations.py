"""What services say about each other: who waits for whom at start, who goes and comes with whom at run time.

Contract:
- Nothing here waits; a unit is only told what is wanted of it. Names that no unit has are nobody.
- A service that `requires` another runs only while that one does or is on its way back: a crash that is followed by a
  restart, or a restart on demand, touches no dependent. When the other is down for good (stopped, or given up), its
  dependents are stopped for the reason `dependency`, and for that reason alone they come back when it comes back.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from dmsinit.supervisor.states import Reason, State
from dmsinit.supervisor.unit import Unit

_NOTHING_TO_STOP: Final = frozenset({State.WAITING, State.STOPPED, State.DISABLED})


class Relations:
    """The relations among `units`, which may come and go."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._units = units

    def blockers(self, unit: Unit) -> list[Unit]:
        """Return the services that a start has to wait for: first those it requires, then those it comes after."""
        service = unit.service
        hard = [other for other in self._named(service.requires) if not other.fulfilled]
        soft = [other for other in self._named((*service.wants, *service.after)) if not self._settled(other)]
        return list(dict.fromkeys(hard + soft))

    def obstacle(self, unit: Unit) -> str:
        """Return what keeps a service that waits from starting in the near future, and what to do; or nothing."""
        for other in self._named(unit.service.requires):
            if other.fulfilled:
                continue
            if not other.wanted:
                return f"{other.name}, which is not up; start that first"
            if other.state in (State.BACKOFF, State.FAILED):
                return f"{other.name}, which does not start ({other.detail}); repair that first"
            if other.state is State.WAITING and (deeper := self.obstacle(other)):
                return f"{other.name}, which requires {deeper}"
        return ""

    def _settled(self, unit: Unit) -> bool:
        """Say whether a soft follower may go on: also when `unit` cannot start for want of something else."""
        return unit.settled or (unit.state is State.WAITING and self.obstacle(unit) != "")

    def ill_that_it_talks_to(self, unit: Unit) -> list[str]:
        """Return the services that `unit` talks to (`pauses_for`, `asks`) and that do not answer now."""
        asks = unit.service.health.asks if unit.service.health is not None else ()
        others = self._named((*unit.service.pauses_for, *asks))
        return list(dict.fromkeys(other.name for other in others if other.state is State.UNHEALTHY))

    def requirers(self, unit: Unit) -> list[Unit]:
        """Return the services that require `unit`."""
        name = unit.name  # once: every transition of every service comes here
        return [other for other in self._units.values() if name in other.service.requires]

    def going_down(self, unit: Unit) -> list[Unit]:
        """Return the services that require `unit` and are still on their way down: it has to outlive them."""
        return [other for other in self.requirers(unit) if not other.wanted and not other.at_rest]

    def bring_down(self, unit: Unit, reason: Reason) -> None:
        """Stop a service and, before it, those that require it."""
        for dependent in self.requirers(unit):
            if dependent.wanted:
                self.bring_down(dependent, Reason.DEPENDENCY)
        unit.want_down(reason)

    def moved(self, unit: Unit) -> None:
        """Let the services that require `unit` follow its transition."""
        for dependent in self.requirers(unit):
            self.follow(dependent)
            self._wake(dependent)

    def _wake(self, unit: Unit) -> None:
        """Let those who wait for `unit` look again: what it requires, however indirectly, stands otherwise now."""
        unit.changed.fire()
        for dependent in self.requirers(unit):
            self._wake(dependent)

    def follow(self, unit: Unit) -> None:
        """Stop what runs and has lost something that it requires; bring back what was stopped only for that."""
        required = self._named(unit.service.requires)
        if unit.wanted:
            if unit.state not in _NOTHING_TO_STOP and any(_is_down(other) for other in required):
                self.bring_down(unit, Reason.DEPENDENCY)
        elif unit.why is Reason.DEPENDENCY and unit.service.enabled and all(_is_up_again(other) for other in required):
            unit.want_up(Reason.DEPENDENCY)

    def stopped_for(self, unit: Unit) -> str:
        """Return for which other services one is stopped, as a detail for people; nothing when for none."""
        if unit.wanted or unit.why is not Reason.DEPENDENCY:
            return ""
        down = [other.name for other in self._named(unit.service.requires) if _is_down(other) or not other.wanted]
        return f"requires {', '.join(down)}" if down else ""

    def _named(self, names: Iterable[str]) -> list[Unit]:
        return [self._units[name] for name in names if name in self._units]


def _is_down(unit: Unit) -> bool:
    """Say whether a service is down for good, as far as it goes: nothing but a person or a new plan brings it back."""
    if unit.state is State.FAILED:
        return True
    if unit.state is State.EXITED:
        return not unit.fulfilled
    return unit.state in (State.STOPPED, State.DISABLED) and not unit.wanted


def _is_up_again(unit: Unit) -> bool:
    return not _is_down(unit) and (unit.wanted or unit.state is State.EXITED)
