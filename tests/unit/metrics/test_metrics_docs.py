"""The reference lists every metric that a full system shows, and no other."""

import re
from pathlib import Path

from dmsinit.metrics.registry import Metrics
from tests.unit.metrics.test_registry import System, scrape

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


class Full(System):
    def aliases(self) -> int | None:
        return 3


async def test_the_page_lists_what_is_shown() -> None:
    shown = {name for name, _ in await scrape(Metrics(Full(), version="1", release="edge"))}
    listed = set(re.findall(r"`(dms_[a-z_]+)[`{]", PAGE.read_text()))
    in_a_cgroup = {name for name in listed if name.startswith("dms_container_")}
    assert listed - in_a_cgroup == shown - in_a_cgroup
