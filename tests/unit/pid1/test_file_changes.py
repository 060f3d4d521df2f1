"""Changes as the world makes them: rename over, delete, symbolic links, directories."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmsinit.base.inotify import add, open_instance
from dmsinit.pid1 import file_changes


class Watcher(file_changes.Watcher):
    """One that adds its watches itself, as the child of PID 1 does for it."""

    def watch(self, paths: list[str]) -> None:
        assert self.instance is not None
        watches, failure = add(self.instance, paths)
        self.adopt(watches, complete=not failure)


@pytest.fixture
async def watcher(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watcher]:
    instance = open_instance()
    assert instance is not None
    watching = Watcher(instance, str(tmp_path_factory.mktemp("run") / "note"), settle_seconds=0.02)
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
    (tmp_path / "volume" / "services" / "own.toml").write_text("x")
    assert await seen(watcher) == {"own.toml"}


async def test_a_directory_that_is_replaced_has_changed(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    watcher.watch([str(tmp_path / "live")])
    (tmp_path / "live").rmdir()
    (tmp_path / "live").symlink_to("archive")
    assert "live" in await seen(watcher)


async def test_an_event_before_its_watch_is_known_is_not_lost(watcher: Watcher, tmp_path: Path) -> None:
    """A child adds watches, and something happens before PID 1 hears of them."""
    assert watcher.instance is not None
    watches, _ = add(watcher.instance, [str(tmp_path)])
    (tmp_path / "early").write_text("x")
    assert await seen(watcher) == {""}
    watcher.adopt(watches, complete=True)
    (tmp_path / "late").write_text("x")
    assert await seen(watcher) == {"late"}


async def test_two_paths_of_one_directory_both_count(watcher: Watcher, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    watcher.watch([str(tmp_path / "real" / "a"), str(tmp_path / "link" / "b")])
    (tmp_path / "real" / "a").write_text("x")
    assert await seen(watcher) == {"a"}
    (tmp_path / "real" / "b").write_text("x")
    assert await seen(watcher) == {"b"}


async def test_what_somebody_reads_anyway_is_no_change_any_more(watcher: Watcher, tmp_path: Path) -> None:
    watcher.watch([str(tmp_path / "accounts"), str(tmp_path / "later")])
    (tmp_path / "accounts").write_text("x")
    assert watcher.take() == {"accounts"}
    (tmp_path / "later").write_text("x")
    assert await seen(watcher) == {"later"}
    waiting = asyncio.create_task(seen(watcher))
    (tmp_path / "accounts").write_text("y")
    assert watcher.take() == {"accounts"}
    watcher.put_back(["accounts"])
    assert await waiting == {"accounts"}


@pytest.mark.parametrize("without", ["instance", "watches"])
async def test_where_the_kernel_reports_nothing_a_note_counts(tmp_path: Path, without: str) -> None:
    note = tmp_path / "note"
    instance = open_instance() if without == "watches" else None
    watching = file_changes.Watcher(instance, str(note), settle_seconds=0.02)
    try:
        if without == "watches":
            watching.adopt([], complete=False)
        assert watching.polls
        for number in (1, 2):
            note.write_text("x")
            os.utime(note, (number, number))
            async with asyncio.timeout(10):
                assert await watching.changed() == {""}
    finally:
        watching.close()


def test_a_watch_that_the_kernel_refuses_is_reported(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        watches, failure = add(file.fileno(), [str(tmp_path)])  # which is no inotify instance
    assert (watches, failure) == ([], errno.EINVAL)
