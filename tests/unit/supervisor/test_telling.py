"""One warning for a service that fails again and again, and another when something changes."""

import pytest

from dmsinit.log import Log
from dmsinit.supervisor.telling import Telling


def test_the_same_trouble_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    telling = Telling(Log("dmsinit"))
    telling.trouble("exit code 1", "12:00:01 no port", "first")
    telling.trouble("exit code 1", "12:00:02 no port", "the same")
    telling.trouble("exit code 1", "12:00:03 no file", "other words")
    telling.trouble("exit code 2", "12:00:04 no file", "another code")
    telling.trouble("exit code 2", "12:00:05 no file", "the same")
    telling.well()
    telling.trouble("exit code 2", "12:00:06 no file", "after a while")
    warned = [line.partition("dmsinit: ")[2] for line in capfd.readouterr().err.splitlines()]
    assert warned == ["first", "other words", "another code", "after a while"]
