"""Debian's Prometheus scrapes a real server over the network, with the rules that people get, and the alerts fire."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.image.harness import DOMAIN, PATIENCE_SECONDS, ROOT, Containers, Server, account

IMAGE = "localhost/dmsinit-prometheus:latest"
GRAFANA = ROOT / "grafana"
QUICK = "500ms"
"""Interval of scrapes and evaluations; alerts wait as long before they fire. Real ones take minutes."""

SCANNER = """
description = "a virus scanner with one signature"
command = ["/usr/sbin/clamd", "--config-file=/tmp/docker-mailserver/clamd.conf"]
[ready]
probe = "clamd"
address = "unix:/run/scanner.sock"
timeout = "30s"
"""
CLAMD = """
Foreground yes
User root
DatabaseDirectory /tmp/docker-mailserver/database
LocalSocket /run/scanner.sock
"""
SIGNATURE = "44d88612fea8a8f36de82e1278abb02f:68:Test\n"

Samples = list[dict[str, Any]]


@dataclass
class Prometheus:
    """A running Prometheus."""

    address: str

    def get(self, path: str, **query: str) -> Any:
        url = f"http://{self.address}:9090/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}:9090/-/ready", timeout=PATIENCE_SECONDS):
                return True
        except urllib.error.HTTPError:  # 503 until its database is open
            return False

    def query(self, expression: str) -> Samples:
        found: Samples = self.get("query", query=expression)["result"]
        return found

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Ask again after each of its intervals until something holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._holds(holds):
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
            time.sleep(0.1)

    @staticmethod
    def _holds(holds: Callable[[], bool]) -> bool:
        try:
            return holds()
        except OSError:  # it does not listen yet
            return False

    def alerts(self) -> set[tuple[str, str, str]]:
        """Return name, state and service (or milter) of all alerts."""
        return {
            (one["labels"]["alertname"], one["state"], one["labels"].get("service", one["labels"].get("milter", "")))
            for one in self.get("alerts")["alerts"]
        }


@pytest.fixture(scope="module")
def image() -> str:
    """The image with Prometheus and promtool; the engine's cache has it after the first time."""
    folder = Path(__file__).parent / "prometheus"
    command = [str(ROOT / "tools" / "engine"), "build", "--network=host", "--tag", IMAGE, str(folder)]
    built = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return IMAGE


@pytest.fixture(scope="module")
def watched(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose metrics can be read from the network; with a virus scanner of the user's."""
    files = {
        "postfix-accounts.cf": account(f"anna@{DOMAIN}"),
        "services/scanner.toml": SCANNER,
        "clamd.conf": CLAMD,
        "database/test.hdb": SIGNATURE,
    }
    config = tmp_path_factory.mktemp("watched")
    environment = {"METRICS_LISTEN": "0.0.0.0:9154"}
    server = containers.start(files, config, environment=environment, options=["--memory=2g"]).wait_until_up()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def prometheus(
    image: str, containers: Containers, watched: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus with the example configuration, made quick, that scrapes `watched`."""
    folder = tmp_path_factory.mktemp("prometheus")
    example = (GRAFANA / "prometheus.yml").read_text().replace("15s", QUICK)
    assert "mailserver:9154" in example
    (folder / "prometheus.yml").write_text(example.replace("mailserver:9154", f"{watched.address}:9154"))
    rules = (GRAFANA / "alerts.yml").read_text()
    (folder / "alerts.yml").write_text(re.sub(r"( for:) \w+", rf"\1 {QUICK}", rules))
    folder.chmod(0o755)
    name = f"{watched.name}-prometheus"
    containers.checked(
        "run", "--detach", "--name", name, "--network=bridge", "--volume", f"{folder}:/etc/prometheus:ro", image,
        "prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/tmp/data",
    )  # fmt: skip
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    server = Prometheus(containers.checked("inspect", "--format", template, name).split()[0])
    server.until("a first scrape", lambda: server.is_ready() and bool(server.query('up{job="dmsinit"}')))
    yield server
    containers.remove(name)


def promtool(containers: Containers, *arguments: str, stdin: str | None = None) -> str:
    """Run promtool, which finds grafana/ at /grafana, and return what it said; it must be content."""
    interactive = ["--interactive"] if stdin is not None else []
    mount = ["--volume", f"{GRAFANA}:/grafana:ro"]
    said = containers.call(
        "run", "--rm", "--network=none", *interactive, *mount, IMAGE, "promtool", *arguments, stdin=stdin
    )
    assert said.code == 0, said.output
    return said.output


def test_promtool_accepts_the_metrics(image: str, containers: Containers, watched: Server) -> None:
    text = watched.checked("dmsctl", "metrics")
    assert promtool(containers, "check", "metrics", stdin=text).strip() == ""


def test_the_alerts_pass_their_tests(image: str, containers: Containers) -> None:
    assert "SUCCESS" in promtool(containers, "test", "rules", "/grafana/alerts_test.yml")


def test_the_example_configuration_is_valid(image: str, containers: Containers) -> None:
    assert "SUCCESS" in promtool(containers, "check", "config", "/grafana/prometheus.yml")


def test_the_server_is_scraped_and_all_rules_are_loaded(prometheus: Prometheus) -> None:
    (target,) = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    (group,) = prometheus.get("rules")["groups"]
    prometheus.until("an evaluation", lambda: bool(prometheus.query("ALERTS or vector(1)")))
    assert {rule["lastError"] for rule in group["rules"] if "lastError" in rule} <= {""}
    assert len(group["rules"]) == (GRAFANA / "alerts.yml").read_text().count("- alert:")


def test_a_healthy_server_raises_no_alert(prometheus: Prometheus) -> None:
    prometheus.until(
        "two scrapes", lambda: float(prometheus.query("count_over_time(dms_ready[1m])")[0]["value"][1]) > 1
    )
    assert {alert for alert in prometheus.alerts() if alert[1] == "firing"} == set()


def test_every_query_of_the_dashboard_finds_what_it_asks_for(prometheus: Prometheus, watched: Server) -> None:
    board = json.loads((GRAFANA / "dmsinit.json").read_text())
    (build,) = prometheus.query("dms_build_info")
    chosen = {"$job": build["metric"]["job"], "$instance": build["metric"]["instance"]}
    chosen |= {"$__rate_interval": "1m", "$__interval": "1m"}
    empty = []
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            expression = filled(target["expr"], chosen)
            if not prometheus.query(expression):
                empty.append(panel["title"])
    quiet = {"Restarts by reason", "Ends by reason", "OOM kills", "ClamAV: age of the database"}
    assert set(empty) <= quiet, "no data in these panels"
    for annotation in board["annotations"]["list"]:
        assert prometheus.query(filled(annotation["expr"], chosen)) == []


def filled(expression: str, values: Mapping[str, str]) -> str:
    """Return a query with Grafana's variables filled in."""
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def test_memory_of_the_scanner_and_the_limit_are_seen(prometheus: Prometheus) -> None:
    (memory,) = prometheus.query("dms_clamav_memory_bytes")
    (service,) = prometheus.query('dms_service_memory_bytes{service="scanner",kind="rss"}')
    assert float(memory["value"][1]) == float(service["value"][1]) > 2**20


def test_a_stopped_service_and_a_stopped_milter_fire_and_resolve(prometheus: Prometheus, watched: Server) -> None:
    watched.checked("dmsctl", "stop", "cron", "opendmarc")
    down = {
        ("ServiceDown", "firing", "cron"),
        ("ServiceDown", "firing", "opendmarc"),
        ("MilterDown", "firing", "opendmarc"),
    }
    prometheus.until("both fire", lambda: down <= prometheus.alerts())
    assert prometheus.query('dms_service_state{service="cron",state="stopped"}')[0]["value"][1] == "1"
    watched.checked("dmsctl", "start", "cron", "opendmarc")
    prometheus.until("all is well", lambda: not prometheus.alerts())


def test_a_refused_change_fires_until_it_is_corrected(prometheus: Prometheus, watched: Server) -> None:
    (watched.config / "services" / "broken.toml").write_text("command = [\n")
    prometheus.until("it fires", lambda: ("ConfigurationNotInForce", "firing", "") in prometheus.alerts())
    assert float(prometheus.query('dms_apply_total{result="invalid"}')[0]["value"][1]) >= 1
    (watched.config / "postfix-virtual.cf").write_text(f"sales@{DOMAIN} anna@{DOMAIN}\n")
    (watched.config / "services" / "broken.toml").unlink()
    prometheus.until("all is well", lambda: not prometheus.alerts())
    assert prometheus.query("dms_aliases")[0]["value"][1] == "1"
