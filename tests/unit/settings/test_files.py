"""NAME__FILE with real files."""

import os
from pathlib import Path

import pytest

from dmsinit.settings.files import LARGEST_BYTES, FromFiles, read_regular


def taken(**environ: str) -> FromFiles:
    return FromFiles(environ, read_regular)


def test_content_without_line_breaks_at_its_end(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b" pass word \n\r\n")
    files = taken(SOME__FILE=str(secret))
    assert files.values == {"SOME": " pass word "}
    (note,) = files.notes
    assert "SOME" in note
    assert str(secret) in note
    assert "pass word" not in note


def test_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/secret").write_text("x")
    (tmp_path / "secret").symlink_to("..data/secret")
    assert taken(SOME__FILE=str(tmp_path / "secret")).values == {"SOME": "x"}


@pytest.mark.parametrize("text", ["set", ""])
def test_name_wins_over_file_even_when_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text("x")
    files = taken(SOME=text, SOME__FILE=str(tmp_path / "secret"))
    assert files.values == {}
    (warning,) = files.warnings
    assert warning.where == "SOME__FILE"


def test_empty_path_and_lone_suffix_are_nothing() -> None:
    files = taken(SOME__FILE="", __FILE="/etc/hostname")
    assert (files.values, files.warnings, files.notes) == ({}, [], [])


def test_what_is_not_a_readable_text(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_BYTES + 1))
    reasons = {
        "missing": "No such file or directory",
        ".": "not a regular file",
        "pipe": "not a regular file",
        "binary": "not UTF-8",
        "large": "larger than",
        "nul\0": "null byte",
    }
    for name, reason in reasons.items():
        files = taken(SOME__FILE=f"{tmp_path}/{name}")
        assert files.values == {}
        (warning,) = files.warnings
        assert reason in warning.cause
        assert "SOME stays unset" in warning.cause
