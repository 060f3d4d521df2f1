"""Changes as the world makes them: rename over, delete, symbolic links, directories."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmsinit.inotify import Watcher


@pytest.fixture
async def watcher() -> AsyncIterator[Watcher]:
    watching = Watcher(settle_seconds=0.02)
    yield watching
    watching.close()


async def seen(watcher: Watcher) -> set[str]:
    async with asyncio.timeout(10):
        return await watcher.changed()


async def test_only_watched_names_count(watcher: Watcher, tmp_path: Path) -> None:
    watcher.watch([str(tmp_path / "accounts")])
    (tmp_path / "other").write_text("x")
    (tmp_path / "accounts").write_text("x")
    assert await seen(watcher) == {"accounts"}


async def test_an_editor_renames_over_the_file(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "accounts").write_text("old")
    watcher.watch([str(tmp_path / "accounts")])
    for _ in range(2):
        (tmp_path / ".accounts.swp").write_text("new")
        os.replace(tmp_path / ".accounts.swp", tmp_path / "accounts")
        assert await seen(watcher) == {"accounts"}


async def test_a_file_that_is_written_by_another_name_as_outside_of_a_mount(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_text("old")
    os.link(tmp_path / "outside", tmp_path / "inside" / "accounts")
    watcher.watch([str(tmp_path / "inside" / "accounts")])
    for _ in range(2):
        (tmp_path / "outside").write_text("new")
        assert await seen(watcher) == {"accounts"}
    watcher.watch([str(tmp_path / "inside" / "none")])
    (tmp_path / "outside").write_text("newer")
    (tmp_path / "inside" / "none").write_text("x")
    assert await seen(watcher) == {"none"}


async def test_a_deleted_file(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "accounts").write_text("old")
    watcher.watch([str(tmp_path / "accounts")])
    (tmp_path / "accounts").unlink()
    assert await seen(watcher) == {"accounts"}


async def test_a_swapped_link_in_a_watched_directory(watcher: Watcher, tmp_path: Path) -> None:
    watcher.watch([str(tmp_path)])
    (tmp_path / "..data_tmp").symlink_to("..2026")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
    assert "..data" in await seen(watcher)


async def test_many_changes_are_one(watcher: Watcher, tmp_path: Path) -> None:
    watcher.watch([str(tmp_path)])
    for number in range(50):
        (tmp_path / str(number)).write_text("x")
    assert await seen(watcher) == {str(number) for number in range(50)}


async def test_watching_anew_forgets_the_old(watcher: Watcher, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    watcher.watch([str(tmp_path / "a")])
    watcher.watch([str(tmp_path / "b")])
    assert await seen(watcher) == {""}  # nobody knows what happened there before
    (tmp_path / "a" / "x").write_text("x")
    (tmp_path / "b" / "y").write_text("y")
    assert await seen(watcher) == {"y"}


async def test_a_directory_that_is_not_there_yet_is_no_error(watcher: Watcher, tmp_path: Path) -> None:
    watcher.watch([str(tmp_path / "none" / "file"), str(tmp_path / "file")])
    (tmp_path / "file").write_text("x")
    assert await seen(watcher) == {"file"}


async def test_a_directory_appears_and_is_watched_from_then_on(watcher: Watcher, tmp_path: Path) -> None:
    paths = [str(tmp_path / "volume" / "services"), str(tmp_path / "volume" / "accounts")]
    (tmp_path / "volume").mkdir()
    watcher.watch(paths)
    (tmp_path / "volume" / "services").mkdir()
    assert await seen(watcher) == {"services"}
    (tmp_path / "volume" / "services" / "before.toml").write_text("x")
    watcher.watch(paths)
    assert await seen(watcher) == {""}
    (tmp_path / "volume" / "services" / "own.toml").write_text("x")
    assert await seen(watcher) == {"own.toml"}


async def test_a_directory_that_is_replaced_has_changed(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    watcher.watch([str(tmp_path / "live")])
    (tmp_path / "live").rmdir()
    (tmp_path / "live").symlink_to("archive")
    assert "live" in await seen(watcher)
