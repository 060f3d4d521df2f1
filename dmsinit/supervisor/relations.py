"""Who waits for whom: what services say about each other, asked over all units.

Contract: nothing here waits or changes a state; names that no unit has are nobody.
"""

from collections.abc import Iterable, Mapping

from dmsinit.supervisor.unit import Unit


class Relations:
    """The relations among `units`, which may come and go."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._units = units

    def blockers(self, unit: Unit) -> list[Unit]:
        """Return the services that a start has to wait for: first those it requires, then those it comes after."""
        service = unit.service
        hard = [other for other in self._named(service.requires) if not other.fulfilled]
        soft = [other for other in self._named((*service.wants, *service.after)) if not other.settled]
        return list(dict.fromkeys(hard + soft))

    def _named(self, names: Iterable[str]) -> list[Unit]:
        return [self._units[name] for name in names if name in self._units]
