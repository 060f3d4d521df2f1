"""The metrics of a small system with one real process."""

import asyncio
import os
from collections.abc import Mapping, Sequence

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from dmsinit.metrics.registry import EXIT_REASONS, RESTART_REASONS, Metrics
from dmsinit.metrics.source import Milter
from dmsinit.supervisor.states import State
from dmsinit.supervisor.status import ServiceStatus, Span


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

    def services(self) -> Sequence[ServiceStatus]:
        return [service("self", "ready"), service("down", "failed"), service("off", "disabled", enabled=False)]

    def pids(self) -> Mapping[str, Sequence[int]]:
        self.looks += 1
        return {"self": [os.getpid()]}

    def restarts(self) -> Mapping[tuple[str, str], int]:
        return {("self", "oom-killed"): 2}

    def exits(self) -> Mapping[tuple[str, str], int]:
        return {("down", "exited"): 5}

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


async def test_every_known_label_set_is_there_from_the_start() -> None:
    samples = await scrape(Metrics(System(), version="1", release="edge"))
    for name in ("self", "down", "off"):
        assert sum(samples["dms_service_state", (name, state.value)] for state in State) == 1
    for name in ("self", "down"):
        assert {("dms_service_restarts_total", (name, reason)) for reason in RESTART_REASONS} <= samples.keys()
        assert {("dms_service_exits_total", (name, reason)) for reason in EXIT_REASONS} <= samples.keys()
        assert {("dms_service_memory_bytes", (name, kind)) for kind in ("rss", "pss", "swap")} <= samples.keys()
        for metric in ("cpu_seconds_total", "processes", "open_fds", "ready_seconds", "up"):
            assert (f"dms_service_{metric}", (name,)) in samples
    assert ("dms_service_processes", ("off",)) not in samples


async def test_values_are_those_of_the_source_and_the_kernel() -> None:
    samples = await scrape(Metrics(System(), version="1", release="edge"))
    assert samples["dms_build_info", ("1", "edge")] == 1
    assert samples["dms_service_up", ("self",)] == 1
    assert samples["dms_service_up", ("down",)] == 0
    assert samples["dms_service_restarts_total", ("self", "oom-killed")] == 2
    assert samples["dms_service_exits_total", ("down", "exited")] == 5
    assert samples["dms_service_processes", ("self",)] == 1
    assert samples["dms_service_processes", ("down",)] == 0
    assert samples["dms_service_memory_bytes", ("self", "rss")] > 2**20
    assert samples["dms_boot_phase_seconds", ("render",)] == 0.25
    assert ("dms_boot_phase_seconds", ("install",)) not in samples
    assert samples["dms_milter_up", ("opendkim",)] == 1
    assert samples["dms_milter_handshake_seconds", ("opendkim",)] == 0.002
    assert samples["dms_milter_handshake_seconds", ("opendmarc",)] == 0
    assert samples["dms_accounts", ()] == 7
    assert ("dms_aliases", ()) not in samples


async def test_openmetrics_is_accepted_by_its_parser() -> None:
    text = (await Metrics(System(), version="1", release="edge").render(openmetrics=True)).decode()
    assert text.endswith("# EOF\n")
    families = list(parse_openmetrics(text))  # type: ignore[no-untyped-call] # as the library has it
    assert {"dms_service_restarts", "dms_service_memory_bytes"} <= {family.name for family in families}


async def test_scrapes_at_the_same_time_share_one_look() -> None:
    system = System()
    metrics = Metrics(system, version="1", release="edge")
    answers = await asyncio.gather(*(metrics.render() for _ in range(50)))
    assert len(set(answers)) == 1
    assert system.looks == 1
    await metrics.render()
    assert system.looks == 2


async def test_a_scraper_that_goes_away_takes_no_other_with_it() -> None:
    metrics = Metrics(System(), version="1", release="edge")
    gone, stays = asyncio.ensure_future(metrics.render()), asyncio.ensure_future(metrics.render())
    await asyncio.sleep(0)
    gone.cancel()
    assert b"dms_service_up" in await stays
