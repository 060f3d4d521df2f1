from typing import Any

import pytest

from dmsinit.cli.supervisorctl.words import STATES, line, moment, uptime
from dmsinit.supervisor.states import RUNNING, State

SUPERVISORD_STATES = {"STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL"}


def test_every_state_of_ours_has_one_of_supervisord() -> None:
    assert set(STATES) == {state.value for state in State}
    assert {word for word, _ in STATES.values()} == SUPERVISORD_STATES


def test_what_has_a_process_can_be_stopped() -> None:
    assert all(STATES[state][1] for state in RUNNING)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1.9, "0:00:01"), (3725, "1:02:05"), (86399, "23:59:59"), (86400, "1 day, 0:00:00"), (180000, "2 days, 2:00:00")],
)
def test_uptime_is_written_as_a_timedelta(seconds: float, shown: str) -> None:
    assert uptime(seconds) == shown


def test_moments_are_written_as_supervisord_does() -> None:
    assert moment("2026-11-24T16:08:00+02:00") == "Nov 24 04:08 PM"
    assert moment("yesterday") == "yesterday"


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("ready", "opendkim                         RUNNING   pid 214, uptime 0:00:01"),
        ("starting", "opendkim                         STARTING  "),
        ("stopped", "opendkim                         STOPPED   Nov 24 04:08 PM"),
        ("exited", "opendkim                         EXITED    Nov 24 04:08 PM"),
        ("failed", "opendkim                         FATAL     exit code 1"),
    ],
)
def test_columns_stand_where_scripts_look(state: str, shown: str) -> None:
    one: dict[str, Any] = {
        "name": "opendkim", "state": state, "pid": 214, "uptime_seconds": 1.5, "deaths": [{}],
        "since": "2026-11-24T16:08:00+02:00", "detail": "exit code 1",
    }  # fmt: skip
    assert line(one) == shown
