"""A small system to be observed by metrics, with one real process; and every metric that there is."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from dmsinit.base.cgroup import Hierarchy
from dmsinit.metrics import system as system_metrics
from dmsinit.metrics.registry import Metrics
from dmsinit.metrics.source import Logged, Milter, Scanner
from dmsinit.supervisor.lag import Lag
from dmsinit.supervisor.status import Applies, ServiceStatus, Span


def service(name: str, state: str, *, enabled: bool = True) -> ServiceStatus:
    return ServiceStatus(
        name=name, description="", state=state, reason="boot", detail="", pid=None, uptime_seconds=None, restarts=0,
        memory_bytes=None, waiting_for=[], last_exit=None, deaths=[], since="", ready_seconds=0.5 if enabled else None,
        enabled=enabled, processes=0,
    )  # fmt: skip


class System:
    """A Source whose service `self` is this very process."""

    def __init__(self) -> None:
        self.looks = 0
        self.lag = Lag()

    def ready(self) -> bool:
        return False

    def started_at(self) -> float:
        return 1_700_000_000.0

    def control_clients(self) -> int:
        return 3

    def services(self) -> Sequence[ServiceStatus]:
        return [service("self", "ready"), service("down", "failed"), service("off", "disabled", enabled=False)]

    def pids(self) -> Mapping[str, Sequence[int]]:
        self.looks += 1
        return {"self": [os.getpid()]}

    def restarts(self) -> Mapping[tuple[str, str], int]:
        return {("self", "oom-killed"): 2}

    def busy(self) -> Mapping[str, int]:
        return {"self": 3}

    def exits(self) -> Mapping[tuple[str, str], int]:
        return {("down", "exited"): 5, ("down", "oom-killed"): 1}

    def logged(self) -> Mapping[str, Logged]:
        return {"self": Logged(1234, 34)}

    def scanner(self) -> Scanner | None:
        return None

    def applies(self) -> Applies:
        return Applies(success=4, invalid=2, last_seconds=0.25, in_force=False)

    def certificates(self) -> Mapping[str, float]:
        return {"/etc/dms/tls/cert": 1_900_000_000.0}

    def milters(self) -> Mapping[str, Milter]:
        return {"opendkim": Milter(True, 0.002), "opendmarc": Milter(False, None)}

    def spans(self) -> Sequence[Span]:
        return [
            Span(name="render", kind="phase", began=0.5, ended=0.75),
            Span(name="self", kind="service", began=0.75, ended=0.8),
            Span(name="install", kind="phase", began=0.9),
        ]

    def accounts(self) -> int | None:
        return 7

    def aliases(self) -> int | None:
        return None


Samples = dict[tuple[str, tuple[str, ...]], float]


async def scrape(metrics: Metrics) -> Samples:
    text = (await metrics.render()).decode()
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


class Full(System):
    """A System that has something to show for every metric; a clamd answers at `clamd`."""

    def __init__(self, clamd: Path) -> None:
        super().__init__()
        self.clamd = clamd

    def aliases(self) -> int | None:
        return 3

    def scanner(self) -> Scanner | None:
        return Scanner("self", f"unix:{self.clamd}")


async def every_metric(folder: Path) -> Mapping[str, frozenset[str]]:
    """Return the samples' names of all metrics that there are, and the names of their labels."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"ClamAV 1.4.3/27800/Mon Jul 14 08:36:26 2025\n")
        writer.close()
        answered.set()

    answered = asyncio.Event()
    for file, text in (("current", "1"), ("max", "max"), ("stat", "inactive_file 0"), ("events", "oom_kill 0")):
        (folder / f"memory.{file}").write_text(text + "\n")
    metrics = Metrics(Full(folder / "clamd.sock"), version="1", release="edge")
    async with await asyncio.start_unix_server(answer, folder / "clamd.sock"):
        await metrics.render()
        await answered.wait()
        while b"dms_clamav_database_age_seconds " not in (exposition := await metrics.render()):
            pass  # it has answered; the metrics have yet to read it
    families = list(text_string_to_metric_families(exposition.decode()))
    found: dict[str, frozenset[str]] = {}
    for family in [*families, *system_metrics.container(Hierarchy(2, folder))]:
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, frozenset()) | sample.labels.keys()
    return found
