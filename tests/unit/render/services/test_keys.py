"""Values in services/NAME.toml."""

from typing import Any

import pytest

from dmsinit.plan import Health, Limits, Probe, ProbeKind, Readiness, Reload, Restart, Service, Stop
from dmsinit.render.services import keys
from dmsinit.render.services.keys import PROBES, SECTIONS, Unusable, build
from dmsinit.render.services.relations import INVERSE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("20s", 20.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("500ms", 0.5),
        ("1.5 s", 1.5),
        (7, 7.0),
        ("2d", 172800.0),
        ("0s", 0.0),
    ],
)
def test_durations(value: Any, seconds: float) -> None:
    assert keys.duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "command", []), ("", "command", [""]), ("", "command", "one string"), ("", "command", [1]),
        ("", "enabled", 1), ("", "umask", "9"), ("", "on_change", "bounce"), ("", "env", {"A": []}), ("", "after", "x"),
        ("", "description", 1), ("ready", "address", 1), ("ready", "probe", "ping"), ("ready", "timeout", "soon"),
        ("health", "failures", "many"),
        ("health", "interval", True), ("restart", "give_up", "5 times"), ("stop", "signal", "9x"),
        ("limits", "nofile", True), ("restart", "delay", "-1s"),
    ],
)  # fmt: skip
def test_unusable_values(section: str, key: str, value: Any) -> None:
    with pytest.raises(Unusable) as caught:
        SECTIONS[section][key](value)
    assert caught.value.remedy


def test_expressions_yield_strings() -> None:
    assert [keys.flag(text) for text in ("True", "False", "1", "")] == [True, False, True, False]
    assert keys.whole("65536") == 65536


def test_everything_at_once() -> None:
    values: dict[str, Any] = {
        "description": "x", "enabled": True, "command": ("/x", "-f"), "user": "u", "every": 3600.0, "umask": "027",
        "ready": {"probe": "milter", "address": "inet:127.0.0.1:1", "timeout": 20.0},
        "health": {"probe": "command", "command": ("/ask",), "interval": 15.0, "failures": 5, "timeout": 2.0},
        "restart": {"policy": "on-failure", "delay": 1.0, "give_up": (5, 60.0)},
        "stop": {"signal": "INT", "grace": 55.0}, "reload": {"command": ("/reload",)},
        "limits": {"nofile": 10, "capabilities": ("chown",)},
    }  # fmt: skip
    assert build("one", values) == Service(
        name="one", description="x", command=("/x", "-f"), user="u", every_seconds=3600.0, umask="027",
        ready=Readiness(probe=Probe(kind="milter", address="inet:127.0.0.1:1"), timeout_seconds=20.0),
        health=Health(
            probe=Probe(kind="command", command=("/ask",), timeout_seconds=2.0), interval_seconds=15.0, failures=5
        ),
        restart=Restart(policy="on-failure", delay_seconds=1.0, give_up_after=5, give_up_within_seconds=60.0),
        stop=Stop(signal="INT", grace_seconds=55.0), reload=Reload(command=("/reload",)),
        limits=Limits(nofile=10, capabilities=("chown",)),
    )  # fmt: skip


def test_nothing_but_a_command_is_the_plans_default() -> None:
    assert build("one", {"command": ("/x",)}) == Service(name="one", command=("/x",))


def test_every_field_of_the_plan_can_be_written() -> None:
    renamed = {"every_seconds": "every"}
    fields = {renamed.get(name, name) for name in Service.__struct_fields__} - {"name"}
    assert fields == (set(SECTIONS[""]) - set(INVERSE)) | (set(SECTIONS) - {""})
    assert set(PROBES) == set(ProbeKind.__args__)  # type: ignore[attr-defined]  # typing.Literal keeps its words there
