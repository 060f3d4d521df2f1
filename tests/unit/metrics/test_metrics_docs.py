"""The reference lists every metric that there is with its labels, and no other."""

import re
from pathlib import Path

from tests.support.metrics import every_metric

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


async def test_the_page_lists_what_is_shown(tmp_path: Path) -> None:
    rows = "\n".join(line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    listed = {name: labels for name, _, labels in re.findall(r"`(dms_[a-z_]+)({([a-z,]+)})?`", rows)}
    assert {name: frozenset(labels.split(",")) - {""} for name, labels in listed.items()} == await every_metric(
        tmp_path
    )
