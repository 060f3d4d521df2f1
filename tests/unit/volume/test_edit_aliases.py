"""Aliases: added, extended, taken away."""

from pathlib import Path

import pytest

from dmsinit.volume import read
from dmsinit.volume.edit_aliases import add_alias, remove_alias
from dmsinit.volume.errors import EditError

NAME = "postfix-virtual.cf"


def test_add_makes_a_line_and_extends_it(tmp_path: Path) -> None:
    add_alias(tmp_path, "sales@x.test", ("a@x.test",))
    add_alias(tmp_path, "Sales@x.test", ("b@x.test", "c@x.test"))
    add_alias(tmp_path, "@x.test", ("a@x.test",))
    assert (tmp_path / NAME).read_text() == "sales@x.test a@x.test,b@x.test,c@x.test\n@x.test a@x.test\n"
    with pytest.raises(EditError, match=r"cannot add B@x\.test to the alias sales@x\.test"):
        add_alias(tmp_path, "sales@x.test", ("d@x.test", "B@x.test"))


def test_a_continued_line_grows_at_its_end(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("s@x.test a@x.test,\n   b@x.test,\n# c\nt@x.test\n")
    add_alias(tmp_path, "s@x.test", ("c@x.test",))
    add_alias(tmp_path, "t@x.test", ("d@x.test",))
    assert (tmp_path / NAME).read_text() == "s@x.test a@x.test,\n   b@x.test,c@x.test\n# c\nt@x.test d@x.test\n"
    assert read(tmp_path).warnings == ()


@pytest.mark.parametrize("alias", ["", "x@", "a b@x.test", "a@x.test,b@x.test"])
def test_what_is_no_alias_is_refused(tmp_path: Path, alias: str) -> None:
    with pytest.raises(EditError, match="cannot use"):
        add_alias(tmp_path, alias, ("a@x.test",))


@pytest.mark.parametrize("recipient", ["|id", '"|id -u"', "/etc/passwd", ":include:/etc/passwd"])
def test_what_only_local_aliases_lead_to_is_refused(tmp_path: Path, recipient: str) -> None:
    """In a virtual table it is an address of nobody: mail to it would be accepted, and come back."""
    with pytest.raises(EditError, match=r"only an alias of postfix-aliases\.cf leads to"):
        add_alias(tmp_path, "a@x.test", (recipient,))
    (tmp_path / NAME).write_text(f"a@x.test {recipient}\n")
    (warning,) = read(tmp_path).warnings
    assert warning.where == f"{NAME}:1"
    assert "only an alias of postfix-aliases.cf leads to" in warning.cause


def test_remove_keeps_the_rest_and_takes_the_line_with_the_last(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("s@x.test\ta@x.test, ab@x.test,\n# c\n b@x.test\nas@x.test a@x.test\n")
    assert remove_alias(tmp_path, "S@x.test", ("A@x.test", "c@x.test")) == ("c@x.test",)
    assert (tmp_path / NAME).read_text() == "s@x.test\tab@x.test,b@x.test\n# c\nas@x.test a@x.test\n"
    assert remove_alias(tmp_path, "s@x.test", ("ab@x.test", "b@x.test")) == ()
    assert remove_alias(tmp_path, "s@x.test", ("b@x.test",)) is None
    assert (tmp_path / NAME).read_text() == "# c\nas@x.test a@x.test\n"
