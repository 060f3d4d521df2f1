"""The dashboard and the alerts ask for metrics that exist, by labels that they have; the JSON is sound and fresh."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dmsinit.supervisor.states import State
from tests.support.metrics import every_metric

GRAFANA = Path(__file__).parents[3] / "grafana"
ADDED_BY_PROMETHEUS = {"job", "instance"}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def board() -> Json:
    found: Json = json.loads((GRAFANA / "dmsinit.json").read_text())
    return found


def panels(board: Json) -> Iterator[Json]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def queries(board: Json) -> Iterator[str]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["expr"]


def selectors(text: str) -> Iterator[tuple[str, set[str]]]:
    """Return the metrics that PromQL names, with the labels that their braces ask for."""
    for name, braces in re.findall(r"\b(dms_\w+)(\{[^}]*\})?", text):
        yield name, set(re.findall(r"(\w+)(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', braces)))


def unknown(text: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Return what is asked for and does not exist."""
    wrong = [name for name, _ in selectors(text) if name not in known]
    for name, labels in selectors(text):
        wrong += [f"{name}{{{label}}}" for label in labels - known.get(name, labels) - ADDED_BY_PROMETHEUS]
    return wrong


async def test_the_dashboard_asks_for_what_exists(board: Json, tmp_path: Path) -> None:
    known = await every_metric(tmp_path)
    found = list(queries(board))
    assert len(found) > 30
    assert unknown("\n".join(found), known) == []
    variables = "\n".join(one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query")
    assert unknown(variables, known) == []


async def test_the_alerts_ask_for_what_exists(tmp_path: Path) -> None:
    text = (GRAFANA / "alerts.yml").read_text()
    assert len(list(selectors(text))) > 10
    assert unknown(text, await every_metric(tmp_path)) == []


async def test_what_does_not_exist_is_noticed(tmp_path: Path) -> None:
    known = await every_metric(tmp_path)
    wrong = unknown('dms_servce_up + dms_service_up{sevrice="x",service=~"a=b"}', known)
    assert wrong == ["dms_servce_up", "dms_service_up{sevrice}"]


def test_the_file_is_what_the_tool_writes() -> None:
    tool = GRAFANA.parent / "tools" / "dashboard.py"
    written = subprocess.run([sys.executable, tool], check=True, capture_output=True, text=True).stdout
    assert (GRAFANA / "dmsinit.json").read_text() == written, "write it again: make docs"


def test_every_state_is_shown_in_words(board: Json) -> None:
    (timeline,) = (panel for panel in panels(board) if panel["title"] == "State of services")
    asked = dict(re.findall(r'(\d+) \* dms_service_state\{[^}]*state="(\w+)"', timeline["targets"][0]["expr"]))
    words = timeline["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {number: word["text"] for number, word in words.items()} == asked
    assert set(asked.values()) == {state.value for state in State} - {"disabled"}


def test_panels_have_titles_and_places_that_do_not_overlap(board: Json) -> None:
    titles = [panel["title"] for panel in board["panels"]]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_it_can_be_imported_anywhere(board: Json) -> None:
    assert board["uid"] == "dmsinit"
    assert "id" not in board
    assert not any("id" in panel for panel in board["panels"])
    for panel in panels(board):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        for target in panel["targets"]:
            assert 'instance="$instance"' in target["expr"]


def test_every_alert_has_a_test_and_is_documented() -> None:
    alerts = re.findall(r"- alert: (\w+)", (GRAFANA / "alerts.yml").read_text())
    tested = set(re.findall(r"alertname: (\w+)", (GRAFANA / "alerts_test.yml").read_text()))
    page = (GRAFANA.parent / "docs" / "how-to" / "monitoring.md").read_text()
    assert set(alerts) == tested
    assert [name for name in alerts if f"`{name}`" not in page] == []
