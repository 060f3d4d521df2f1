"""The metrics of a real supervisor over real processes."""

import os
import signal
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dmsinit.control.operations import Changes
from dmsinit.log import Log
from dmsinit.pid1.rendering import Rendered
from dmsinit.pid1.system import System
from dmsinit.plan import Certificate, Plan, Probe, Readiness, Service
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.supervisor import Children, OperationFailed, Reason, Runtime, State, Supervisor, handover
from tests.support.bench import Bench

SCRAPE_SECONDS = 0.025
"""What a scrape of 20 services may cost."""

Samples = dict[tuple[str, tuple[str, ...]], float]


class NoFlow:
    """No scrape leads to a change."""

    async def preview(self, mode: str) -> Rendered:
        raise AssertionError(mode)

    async def apply(self) -> Changes:
        raise AssertionError("apply")

    async def reexec(self) -> None:
        raise AssertionError("reexec")


async def scrape(system: System) -> Samples:
    text = (await system.metrics(openmetrics=False)).decode()
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def sleeper(name: str) -> Service:
    return Service(name=name, command=("sleep", "1000"))


async def test_a_crash_is_counted_with_its_reason(bench: Bench) -> None:
    system = System(bench.supervisor, time.monotonic(), NoFlow())
    await bench.run(sleeper("a"))
    await bench.until("a", State.READY)
    before = await scrape(system)
    first = bench.pid("a")
    os.kill(first, signal.SIGKILL)
    await bench.until("a", State.READY, and_=lambda: bench.pid("a") != first)
    after = await scrape(system)
    assert before["dms_service_restarts_total", ("a", "signalled")] == 0
    assert after["dms_service_restarts_total", ("a", "signalled")] == 1
    assert after["dms_service_exits_total", ("a", "signalled")] == 1
    assert after["dms_oom_kills_total", ("a",)] == 0
    assert after["dms_service_processes", ("a",)] == 1


async def test_output_is_counted(bench: Bench) -> None:
    system = System(bench.supervisor, time.monotonic(), NoFlow())
    await bench.run(Service(name="a", command=("printf", "12345"), type="oneshot"))
    await bench.until("a", State.EXITED)
    assert (await scrape(system))["dms_service_log_bytes_total", ("a",)] >= 5


async def test_output_that_the_log_file_cannot_take_is_counted(bench: Bench, tmp_path: Path) -> None:
    system = System(bench.supervisor, time.monotonic(), NoFlow())
    (tmp_path / "a.log").mkdir()  # a file cannot be opened there
    await bench.run(Service(name="a", command=("printf", "12345"), type="oneshot"))
    await bench.until("a", State.EXITED)
    assert (await scrape(system))["dms_service_log_lost_bytes_total", ("a",)] >= 5


async def test_the_plan_tells_when_certificates_expire_and_who_the_scanner_is(bench: Bench) -> None:
    system = System(bench.supervisor, time.monotonic(), NoFlow())
    scanner = Service(
        name="scanner", command=("sleep", "1000"), ready=Readiness(probe=Probe(kind="clamd", address="unix:/nowhere"))
    )
    plan = Plan(fqdn="x.test", services=(scanner,), certificates=(Certificate(file="/cert", expires=2e9),))
    await bench.supervisor.converge(plan, [], Reason.BOOT)
    await bench.until("scanner", State.STARTING, and_=lambda: bench.supervisor.unit("scanner").tree.alive)
    samples = await scrape(system)
    assert samples["dms_tls_certificate_expiry_timestamp_seconds", ("/cert",)] == 2e9
    rss = samples["dms_service_memory_bytes", ("scanner", "rss")]
    assert samples["dms_clamav_memory_bytes", ()] == rss > 0


async def test_a_scrape_of_twenty_services_is_cheap(bench: Bench) -> None:
    system = System(bench.supervisor, time.monotonic(), NoFlow())
    await bench.run(*(sleeper(f"service-{number}") for number in range(20)))
    for name in list(bench.supervisor.units):
        await bench.until(name, State.READY)
    costs = []
    for _ in range(20):
        began = time.process_time()
        await system.metrics(openmetrics=False)
        costs.append(time.process_time() - began)
    assert min(costs) < SCRAPE_SECONDS, f"{min(costs) * 1000:.1f} ms"


async def test_applies_are_counted_by_what_became_of_them(bench: Bench) -> None:
    system = System(bench.supervisor, time.monotonic(), NoFlow())
    samples = await scrape(system)
    assert samples["dms_configuration_in_force", ()] == 1
    refused = ProblemsFound([Problem("postfix-virtual.cf:3", "no target", "write alias target")])
    for error in (refused, OperationFailed("cannot reload a: no")):
        with pytest.raises(type(error)), system.applying():
            raise error
    samples = await scrape(system)
    assert [samples["dms_apply_total", (result,)] for result in ("success", "invalid", "failed")] == [0, 1, 1]
    assert samples["dms_configuration_in_force", ()] == 0
    with system.applying():
        pass
    samples = await scrape(system)
    assert samples["dms_apply_total", ("success",)] == 1
    assert samples["dms_configuration_in_force", ()] == 1


def test_a_successor_goes_on_counting(tmp_path: Path) -> None:
    def new() -> System:
        return System(
            Supervisor(Runtime(Children(), Log("test", level="error"), {}, tmp_path)), time.monotonic(), NoFlow()
        )

    system, successor = new(), new()
    system.supervisor.plan = Plan(fqdn="x.test")
    system.problems = ["the last change of the configuration is not in force"]
    with pytest.raises(OperationFailed), system.applying():
        raise OperationFailed("cannot reload a: no")
    fd = handover.write(system.hand_over())
    successor.take_over(handover.read(fd))
    os.close(fd)
    assert (successor.applies.failed, successor.applies.in_force) == (1, False)
    assert successor.problems == system.problems
