"""UCL, as people write Rspamd's signing configuration in it."""

import pytest

from dmsinit.volume.ucl import NotUcl, parse


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", {}),
        ("enabled = true;\n# c\nx: 5, y 6\n", {"enabled": "true", "x": "5", "y": "6"}),
        ('path = "/a b/$domain.key";', {"path": "/a b/$domain.key"}),
        ("path = /a/b.key;", {"path": "/a/b.key"}),
        (
            "domain { a.test { path = '/k'; selector = \"s\" } }",
            {"domain": {"a.test": {"path": "/k", "selector": "s"}}},
        ),
        ('domain "a.test" { path = /k }', {"domain": {"a.test": {"path": "/k"}}}),
        ("domain = { a = { x = 1 } }; domain { b { x = 2 } }", {"domain": {"a": {"x": "1"}, "b": {"x": "2"}}}),
        ("s [ { p = 1; }, { p = 2 } ]", {"s": [{"p": "1"}, {"p": "2"}]}),
        ("/* c { */ a = [1, 2]; a = 3", {"a": ["1", "2", "3"]}),
        ('a = ""; b = 2', {"a": "", "b": "2"}),
    ],
)
def test_text(text: str, meaning: dict[str, object]) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize("text", ["a {", "}", "= 1", "a = ;", "a = [1", "a", 'a = "x'])
def test_what_is_not_ucl(text: str) -> None:
    with pytest.raises(NotUcl):
        parse(text)
