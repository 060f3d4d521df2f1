"""The metrics of a small system with one real process."""

import asyncio
import time

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from dmsinit.metrics.registry import Metrics
from dmsinit.metrics.services import EXIT_REASONS, RESTART_REASONS
from dmsinit.supervisor.states import State
from tests.support.metrics import System, scrape


async def test_every_known_label_set_is_there_from_the_start() -> None:
    samples = await scrape(Metrics(System(), version="1", release="edge"))
    for name in ("self", "down", "off"):
        assert sum(samples["dms_service_state", (name, state.value)] for state in State) == 1
    for name in ("self", "down"):
        assert {("dms_service_restarts_total", (name, reason)) for reason in RESTART_REASONS} <= samples.keys()
        assert {("dms_service_exits_total", (name, reason)) for reason in EXIT_REASONS} <= samples.keys()
        assert {("dms_service_memory_bytes", (name, kind)) for kind in ("rss", "pss", "swap")} <= samples.keys()
        for metric in ("cpu_seconds_total", "processes", "open_fds", "ready_seconds", "up", "log_bytes_total"):
            assert (f"dms_service_{metric}", (name,)) in samples
        assert ("dms_oom_kills_total", (name,)) in samples
    assert ("dms_service_processes", ("off",)) not in samples
    assert {("dms_apply_total", (result,)) for result in ("success", "invalid", "failed")} <= samples.keys()


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
    assert samples["dms_oom_kills_total", ("down",)] == 1
    assert samples["dms_oom_kills_total", ("self",)] == 0
    assert samples["dms_service_log_bytes_total", ("self",)] == 1234
    assert samples["dms_service_log_lost_bytes_total", ("self",)] == 34
    assert samples["dms_apply_total", ("invalid",)] == 2
    assert samples["dms_apply_duration_seconds", ()] == 0.25
    assert samples["dms_configuration_in_force", ()] == 0
    assert samples["dms_tls_certificate_expiry_timestamp_seconds", ("/etc/dms/tls/cert",)] == 1_900_000_000
    assert samples["dms_ready", ()] == 0
    assert samples["dms_control_clients", ()] == 3
    assert samples["dms_process_start_time_seconds", ()] == 1_700_000_000
    assert samples["dms_process_resident_memory_bytes", ()] > 2**20
    assert samples["dms_process_cpu_seconds_total", ()] > 0
    assert 0 < samples["dms_process_open_fds", ()] < samples["dms_process_max_fds", ()]
    assert samples["dms_clamav_memory_bytes", ()] == 0
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


async def test_whoever_holds_up_the_event_loop_during_a_scrape_is_seen() -> None:
    system = System()
    metrics = Metrics(system, version="1", release="edge")
    scraping = asyncio.ensure_future(scrape(metrics))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(time.sleep, 0.05)
    assert 0.05 <= (await scraping)["dms_event_loop_lag_seconds", ()] < 1
