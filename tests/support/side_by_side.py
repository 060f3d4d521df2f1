"""How tests are spread over the workers of pytest-xdist (`pytest -n N`), where most image tests only wait.

A file goes to one worker, because its tests share containers; files in which every test has its own go test by test.
Image tests come first, those that take longest before the others: the rest fills the gaps.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

LONGEST: Final[tuple[str, ...]] = ()
"""The image test files that take longest, the slowest first; where this is out of date, a run only takes longer."""

APART: Final = frozenset[str]()
"""The image test files whose tests share nothing."""


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out files, or single tests of the files in APART, in the order of collection."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", 1)[0]
        return nodeid if Path(path).stem in APART else path


def rank(item: pytest.Item) -> tuple[bool, bool, int]:
    """Return where an item comes: those that must be alone last, image tests first, the slowest files before others."""
    name = item.path.stem
    place = LONGEST.index(name) if name in LONGEST else len(LONGEST)
    return item.get_closest_marker("alone") is not None, item.path.parent.name != "image", place


@contextmanager
def turn(item: pytest.Item) -> Iterator[None]:
    """Run a test beside others, or, if it is marked `alone`, while no other test of this checkout does anything.

    Workers agree by locks on this file (flock(2)), which the kernel frees when a worker dies. Waiting for them is
    outside the test's own time limit.
    """
    if not hasattr(item.config, "workerinput"):
        yield
        return
    with open(__file__, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        yield
