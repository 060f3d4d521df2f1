"""What metrics are made of: the supervisor's memory, asked at each scrape. The composition root implements Source."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from dmsinit.supervisor.status import ServiceStatus, Span


class Milter(NamedTuple):
    """The last answer of a milter to its probe; `handshake_seconds` is None until it has answered once."""

    up: bool
    handshake_seconds: float | None


class Source(Protocol):
    """Everything that the first collectors read. Nothing here may block or start a process."""

    def services(self) -> Sequence[ServiceStatus]:
        """Return all services, the disabled ones included."""

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the processes of every service that has some: one look at /proc for all."""

    def restarts(self) -> Mapping[tuple[str, str], int]:
        """Return how often each (service, reason) was started again since PID 1 began."""

    def exits(self) -> Mapping[tuple[str, str], int]:
        """Return how often each (service, reason) ended since PID 1 began."""

    def milters(self) -> Mapping[str, Milter]:
        """Return the last probe result of each service whose probe is a milter's handshake."""

    def spans(self) -> Sequence[Span]:
        """Return the stretches of the boot."""

    def accounts(self) -> int | None:
        """Return the number of mail accounts; None where they are not in the config volume."""

    def aliases(self) -> int | None:
        """Return the number of virtual aliases; None where they are not in the config volume."""
