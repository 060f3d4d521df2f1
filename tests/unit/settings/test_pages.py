"""What the pages show can be pasted into an env file."""

import re
from pathlib import Path

from dmsinit.settings import FIELDS

ROOT = Path(__file__).parents[3]


def test_no_page_has_a_comment_behind_a_value() -> None:
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "mailserver.env", ROOT / "compose.yaml"]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    shown = [match for line in lines if (match := re.match(r"[ -]*([A-Z_]+)[=:]([^`]*)$", line)) and match[1] in FIELDS]
    assert shown
    assert [match[0] for match in shown if " #" in match[2]] == []
