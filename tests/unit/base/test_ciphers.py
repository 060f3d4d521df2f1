"""Lists of ciphers."""

import pytest

from dmsinit.base.ciphers import problem


@pytest.mark.parametrize("text", ["", "HIGH:!aNULL", "DEFAULT:FOO", "aNULL:-aNULL:HIGH:@STRENGTH"])
def test_lists_with_a_cipher(text: str) -> None:
    assert problem(text) == ""


@pytest.mark.parametrize("text", ["FOO", "!ALL", "a\0b"])
def test_lists_without_one(text: str) -> None:
    assert "knows no cipher" in problem(text)
