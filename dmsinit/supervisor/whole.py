"""All services as one server: is it up, what is missing, and what only seems to be there?"""

from collections.abc import Mapping
from typing import Final

import anyio

from dmsinit.supervisor.states import State
from dmsinit.supervisor.unit import Unit

OTHERS_SECONDS: Final = 10.0
"""How long a service that starts slowly, and that mail does not need, keeps the server from being called up."""
STEADY_SECONDS: Final = 5.0
"""A service that ended again and again counts as ready when it has been so for this long."""


class Whole:
    """Asks about all services at once; `units` is the supervisor's own mapping, which changes."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._units = units

    async def until_settled(self) -> None:
        """Return when every enabled service that is not `late` is ready (a oneshot: done), or hopeless.

        Once those are ready that mail needs, the others are waited for in their first life only, and not for long.
        """
        while essential := [unit for unit in self._pending() if unit.service.essential]:
            await essential[0].changed.wait()
        with anyio.move_on_after(OTHERS_SECONDS):
            while pending := [unit for unit in self._pending() if not unit.restarts]:
                await pending[0].changed.wait()

    def _pending(self) -> list[Unit]:
        return [unit for unit in self.missing() if not unit.hopeless]

    async def until_essential(self) -> None:
        """Return when everything that mail needs is ready, and not only between two crashes."""
        while True:
            if down := self.essential_but_down():
                await down[0].changed.wait()
            elif shaky := [unit for unit in self._essential() if unit.hopeless]:
                with anyio.move_on_after(STEADY_SECONDS):
                    await shaky[0].changed.wait()
                    continue
                return
            else:
                return

    def _essential(self) -> list[Unit]:
        return [unit for unit in self._units.values() if unit.service.enabled and unit.service.essential]

    def essential_but_down(self) -> list[Unit]:
        """Return the enabled services that mail needs and that are not ready."""
        return [unit for unit in self._essential() if not unit.fulfilled]

    def troubled(self) -> list[Unit]:
        """Return the services that are missing, or only seem to be ready for a moment between two crashes."""
        hopeless = [unit for unit in self._units.values() if unit.service.enabled and unit.hopeless]
        return list(dict.fromkeys((*self.missing(), *hopeless)))

    def missing(self) -> list[Unit]:
        """Return the enabled services, `late` ones left out, that are not ready."""
        return [
            unit for unit in self._units.values() if unit.service.enabled and not unit.service.late and not unit.done
        ]

    def late_but_down(self) -> list[Unit]:
        """Return the `late` services that were stopped, or end again and again; no jobs, which may fail for a while."""
        down = (State.STOPPED, State.BACKOFF, State.FAILED)
        late = (unit for unit in self._units.values() if unit.service.enabled and unit.service.late)
        return [unit for unit in late if unit.service.type == "simple" and unit.state in down]
