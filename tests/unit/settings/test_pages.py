"""What the pages show can be pasted into an env file."""

import re
from pathlib import Path

from dmsinit.settings import FIELDS, load
from dmsinit.settings.field import Choice, Text

ROOT = Path(__file__).parents[3]


def test_no_page_has_a_comment_behind_a_value() -> None:
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "mailserver.env", ROOT / "compose.yaml"]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    shown = [match for line in lines if (match := re.match(r"[ -]*([A-Z_]+)[=:]([^`]*)$", line)) and match[1] in FIELDS]
    assert shown
    assert [match[0] for match in shown if " #" in match[2]] == []


def test_what_cannot_be_guessed_has_an_example_that_can_be_used_as_it_is() -> None:
    """Whatever text the page shows for a variable is accepted without a word when it is pasted into an env file."""
    texts = [field for field in FIELDS.values() if isinstance(field, Text) and not field.secret and not field.default]
    assert [field.name for field in texts if not field.example and not isinstance(field, Choice)] == []
    for field in (field for field in FIELDS.values() if field.example):
        loaded = load({field.name: field.example}, fqdn="mail.example.test")
        assert loaded.sources[field.name] == "env"
        told = [warning.cause for warning in loaded.warnings if warning.where == field.name]
        assert all("has no effect without" in cause for cause in told), told
