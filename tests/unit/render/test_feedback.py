"""What is said, and what is not said again."""

import os

import pytest

from dmsinit.log import Log
from dmsinit.problem import Problem
from dmsinit.render.feedback import Feedback
from dmsinit.render.mode import Mode
from dmsinit.settings import Severe
from tests.unit.render.conftest import System

WARNING, SEVERE, OTHER = Problem("A", "is odd"), Severe("B", "is bad"), Problem("C", "is new")


def said(system: System, mode: Mode, *warnings: Problem, told: list[tuple[str, bool]] | None = None) -> str:
    reading, writing = os.pipe()
    feedback = Feedback(
        Log("dmsinit", fd=writing),
        system.root,
        mode,
        lambda text, new: None if told is None else told.append((text, new)),
    )
    feedback.warn(warnings)
    feedback.note(["by the way"])
    feedback.remember()
    os.close(writing)
    os.set_blocking(reading, False)
    try:
        return os.read(reading, 65536).decode()
    except BlockingIOError:
        return ""
    finally:
        os.close(reading)


def test_start_says_everything_once(system: System) -> None:
    text = said(system, Mode.BOOT, WARNING, SEVERE, WARNING)
    assert text.count("A: is odd") == 1
    assert "WARN  dmsinit: A: is odd" in text
    assert "ERROR dmsinit: B: is bad" in text
    assert "INFO  dmsinit: by the way" in text


def test_apply_says_only_what_is_new(system: System) -> None:
    said(system, Mode.BOOT, WARNING, SEVERE)
    text = said(system, Mode.APPLY, WARNING, SEVERE, OTHER)
    assert "C: is new" in text
    assert "A:" not in text
    assert "by the way" not in text
    assert said(system, Mode.APPLY, WARNING, OTHER) == ""
    assert "B: is bad" in said(system, Mode.APPLY, WARNING, SEVERE, OTHER)


def test_who_asks_for_an_apply_hears_everything(system: System) -> None:
    heard: list[tuple[str, bool]] = []
    said(system, Mode.BOOT, WARNING, told=heard)
    assert heard == []
    said(system, Mode.APPLY, WARNING, OTHER, OTHER, told=heard)
    assert heard == [("A: is odd", False), ("C: is new", True)]


def test_check_is_text_for_people(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(system, Mode.CHECK, WARNING) == ""
    assert capsys.readouterr().out == "warning: A: is odd\n"
    assert said(system, Mode.PLAN, WARNING) == ""
