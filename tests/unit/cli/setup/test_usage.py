"""Used and allowed storage in `setup email list`."""

import pytest

from dmsinit.cli.setup.usage import Usage, iec, parse_usage

TABLE = (
    "Username\tQuota name\tType\tValue\tLimit\t%\n"
    "bob@hill.test\tUser quota\tSTORAGE\t0\t10240\t0\n"
    "bob@hill.test\tUser quota\tMESSAGE\t3\t-\t0\n"
    "Anna@hill.test\tUser quota\tSTORAGE\t5120\t-\t0\n"
)


def test_the_table_of_doveadm_is_read() -> None:
    assert parse_usage(TABLE) == {"bob@hill.test": Usage(0, 10240, "0"), "anna@hill.test": Usage(5120, None, "0")}


@pytest.mark.parametrize("text", ["", "Error\n", "Username\tType\n", TABLE.splitlines()[0] + "\nshort\n"])
def test_anything_else_says_nothing(text: str) -> None:
    assert parse_usage(text) == {}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.0K"),
        (1025, "1.1K"),
        (10 << 20, "10M"),
        (5 << 30, "5.0G"),
        ((10 << 20) + 1, "11M"),
        ((1 << 20) - 1, "1.0M"),
        (10 * 1024 - 1, "10K"),
    ],
)
def test_sizes_are_written_as_numfmt_writes_them(size: int, text: str) -> None:
    assert iec(size) == text
