from typing import Any

import pytest

from dmsinit.base import text
from dmsinit.cli.dmsctl import views
from dmsinit.cli.dmsctl.timeline import timeline

SERVICE: dict[str, Any] = {
    "name": "clamav", "description": "", "state": "backoff", "reason": "oom-killed", "since": "T",
    "detail": "killed for want of memory", "pid": None, "uptime_seconds": None, "restarts": 3, "memory_bytes": None,
    "waiting_for": [], "ready_seconds": None, "enabled": True, "processes": 0, "deaths": [], "last_exit": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0, "0.00s"), (9.994, "9.99s"), (59.9, "59s"), (185, "3m05s"), (15120, "4h12m"), (273600, "3d04h")],
)
def test_durations_are_short(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (157286400, "150 MiB"), (1288490188, "1.2 GiB")],
)
def test_sizes_are_binary(count: int | None, shown: str) -> None:
    assert text.size(count) == shown


def test_columns_are_aligned_and_nothing_trails() -> None:
    assert text.table([("A", "B", "C"), ("long", "1", ""), ("x", "22", "c")], right=(1,)) == (
        "A      B  C\nlong   1\nx     22  c"
    )


def test_what_is_not_well_says_why() -> None:
    status = {
        "fqdn": "", "state": "degraded", "uptime_seconds": 5, "release": "edge", "version": "1", "memory_bytes": 1,
        "problems": ["clamav does not stay up"],
        "services": [SERVICE, SERVICE | {"name": "amavis", "state": "waiting", "waiting_for": ["clamav", "dns"]}],
    }  # fmt: skip
    shown = views.overview(status)
    assert "! clamav does not stay up" in shown
    assert "oom-killed: killed for want of memory" in shown
    assert "waits for clamav, dns" in shown


def test_a_death_is_shown_with_what_to_do() -> None:
    death = {"time": "T", "cause": "exited", "detail": "exit code 1", "seconds_lived": 2.0, "hint": "free space"}
    shown = views.description(SERVICE | {"deaths": [death | {"hint": ""}, death]}).splitlines()
    assert shown[-3:] == [
        "  ended:       T exited: exit code 1, after 2.00s",
        "  ended:       T exited: exit code 1, after 2.00s",
        "  hint:        free space",
    ]


def test_nothing_to_change_is_nothing() -> None:
    assert views.changes({"changes": [], "actions": []}) == ""


def test_a_file_without_a_service_is_shown_without() -> None:
    assert (
        views.changes({"changes": [{"path": "/a", "action": "create", "service": ""}], "actions": []}) == "create  /a"
    )


def span(
    name: str, kind: str, began: float, spawned: float | None, ended: float | None, waited: str = ""
) -> dict[str, Any]:
    return {"name": name, "kind": kind, "began": began, "spawned": spawned, "ended": ended, "waited_for": waited}


def test_the_boot_is_drawn_on_one_axis() -> None:
    blame = {
        "total_seconds": 4.0, "critical_seconds": 3.0,
        "spans": [
            span("render", "phase", 0.0, None, 1.0),
            span("postfix", "service", 1.0, 2.0, 4.0, "opendkim"),
            span("clamav", "service", 1.0, 1.0, None),
        ],
        "chain": [{"name": "render", "seconds": 1.0}, {"name": "postfix", "seconds": 2.0}],
    }  # fmt: skip
    lines = timeline(blame).splitlines()
    assert lines[1].split() == ["*", "render", "0.000s", "1.000s", "1.000s", "-", "█" * 11]
    assert lines[2].split() == ["*", "postfix", "2.000s", "4.000s", "2.000s", "opendkim", "·" * 10 + "█" * 20]
    assert lines[3].split()[:5] == ["clamav", "1.000s", "-", "-", "-"]
    assert lines[-2] == "critical chain: render 1.000s → postfix 2.000s"
    assert lines[-1] == "ready after 4.000s, 1.33 × the chain's own work (3.000s)"


def test_before_the_boot_there_is_nothing_to_draw() -> None:
    assert timeline({"spans": [], "chain": [], "total_seconds": 0, "critical_seconds": 0}) == "the boot has not begun"
