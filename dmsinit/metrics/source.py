"""What metrics are made of: the supervisor's memory, asked at each scrape. The composition root implements Source."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from dmsinit.supervisor.lag import Lag
from dmsinit.supervisor.status import Applies, ServiceStatus, Span


class Milter(NamedTuple):
    """The last answer of a milter to its probe; `handshake_seconds` is None until it has answered once."""

    up: bool
    handshake_seconds: float | None


class Logged(NamedTuple):
    """Bytes that a service wrote on its output, and how many of them its log file could not take."""

    written: int
    lost: int


class Scanner(NamedTuple):
    """The service that speaks clamd's protocol, and where it answers."""

    name: str
    address: str


class Source(Protocol):
    """Everything that the first collectors read. Nothing here may block or start a process."""

    @property
    def lag(self) -> Lag:
        """How late the event loop is."""

    def ready(self) -> bool:
        """Return whether everything that should run does."""

    def started_at(self) -> float:
        """Return when the container started, as Unix time."""

    def control_clients(self) -> int:
        """Return how many clients the control socket has."""

    def services(self) -> Sequence[ServiceStatus]:
        """Return all services, the disabled ones included."""

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the processes of every service that has some: one look at /proc for all."""

    def restarts(self) -> Mapping[tuple[str, str], int]:
        """Return how often each (service, reason) was started again since PID 1 began."""

    def busy(self) -> Mapping[str, int]:
        """Return how often each service became busy since PID 1 began."""

    def exits(self) -> Mapping[tuple[str, str], int]:
        """Return how often each (service, reason) ended since PID 1 began."""

    def logged(self) -> Mapping[str, Logged]:
        """Return what became of each service's output."""

    def milters(self) -> Mapping[str, Milter]:
        """Return the last probe result of each service whose probe is a milter's handshake."""

    def scanner(self) -> Scanner | None:
        """Return the enabled service whose probe is clamd's, or None."""

    def spans(self) -> Sequence[Span]:
        """Return the stretches of the boot."""

    def applies(self) -> Applies:
        """Return what became of changes of the configuration."""

    def certificates(self) -> Mapping[str, float]:
        """Return when each certificate (file) of the server expires, as Unix time."""

    def accounts(self) -> int | None:
        """Return the number of mail accounts; None where they are not in the config volume."""

    def aliases(self) -> int | None:
        """Return the number of virtual aliases; None where they are not in the config volume."""
