"""The reference says what the table says."""

import re
from pathlib import Path

from dmsinit.cli.supervisorctl.words import STATES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "control-api.md"


def test_the_mapping_of_states_is_the_documented_one() -> None:
    rows = re.findall(r"^\| ([a-z]+) \| ([A-Z]+) \| (stops|not running) \|$", PAGE.read_text(), re.MULTILINE)
    assert {name: (word, stop == "stops") for name, word, stop in rows} == STATES
