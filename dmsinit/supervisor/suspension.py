"""Pausing clients while a service that they talk to is between two lives, so that none of them is refused.

Contract: `moved` is told every transition. A client is suspended (SIGSTOP, signal(7)) from the moment when one of the
services in its `pauses_for` leaves until that service is ready again, or is not to come back, or a start of it has
failed; at most for `LONGEST_PAUSE_SECONDS`. Who is suspended here goes on (SIGCONT) before anything else happens to it.
"""

import asyncio
import signal
from collections.abc import Mapping
from typing import Final

from dmsinit.supervisor import ending
from dmsinit.supervisor.states import ANSWERING, State
from dmsinit.supervisor.unit import Unit

LONGEST_PAUSE_SECONDS: Final = 30.0
"""Nothing to a mail client, which waits for minutes (RFC 5321, 4.5.3.2)."""


class Suspension:
    """The clients among `units` that are suspended now."""

    def __init__(self, units: Mapping[str, Unit]) -> None:
        self._units = units
        self._suspended: dict[str, asyncio.TimerHandle] = {}
        self._in_vain: set[str] = set()

    def moved(self, unit: Unit) -> None:
        """Follow a transition: of a service that others pause for, and of one that is suspended itself."""
        if unit.state in ANSWERING:
            self._in_vain.discard(unit.name)
        elif unit.state is State.BACKOFF and unit.ready_at is None:
            self._in_vain.add(unit.name)
        if unit.state not in ANSWERING and unit.name in self._suspended:
            self._go_on(unit)
        for client in list(self._units.values()):
            if unit.name in client.service.pauses_for:
                self._follow(client)

    def end(self) -> None:
        """Let everybody go on."""
        for name in list(self._suspended):
            self._go_on(self._units[name])

    def _follow(self, client: Unit) -> None:
        missing = self._missing(client)
        if not missing and client.name in self._suspended:
            self._go_on(client)
        elif missing and client.name not in self._suspended and client.state in ANSWERING:
            self._suspend(client)

    def _missing(self, client: Unit) -> set[str]:
        others = (self._units[name] for name in client.service.pauses_for if name in self._units)
        return {other.name for other in others if _comes_back(other)} - self._in_vain

    def _suspend(self, client: Unit) -> None:
        if client.tree.child is None:
            return
        client.tree.child.send_signal(signal.SIGSTOP)  # first: it starts no other while these are looked for
        ending.send(client.tree.members(), signal.SIGSTOP)
        if client.asking is not None:  # a probe would take it for one that hangs; the next comes after an interval
            client.asking.cancel()
        give_up = asyncio.get_running_loop().call_later(LONGEST_PAUSE_SECONDS, self._give_up, client)
        self._suspended[client.name] = give_up

    def _give_up(self, client: Unit) -> None:
        self._in_vain |= self._missing(client)
        self._go_on(client)

    def _go_on(self, client: Unit) -> None:
        self._suspended.pop(client.name).cancel()
        ending.send(client.tree.members(), signal.SIGCONT)


def _comes_back(unit: Unit) -> bool:
    """Say whether a service does not answer now, and will by itself."""
    return unit.wanted and unit.state not in (*ANSWERING, State.EXITED, State.FAILED, State.DISABLED)
