"""Values in quotation marks, with comments behind, and an empty time zone."""

import subprocess
import sys

import pytest

from dmsinit.base.literal import Cleaned, clean, settle_time_zone


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("1", Cleaned("1")),
        (" 1 ", Cleaned("1")),
        ("1#2", Cleaned("1#2")),
        ("a # b", Cleaned("a", comment=True)),
        ("#", Cleaned("", comment=True)),
        ('"a # b"  # c', Cleaned("a # b", quotes=True, comment=True)),
        ('"a"b"', Cleaned('"a"b"')),
        ('"a" "b"', Cleaned('"a" "b"')),
        ('"', Cleaned('"')),
        ('""', Cleaned("", quotes=True)),
        ("'\"a\"'", Cleaned("a", quotes=True)),
        ("\u201ea\u201c", Cleaned("a", quotes=True)),
        ("\u00aba\u00bb", Cleaned("a", quotes=True)),
        ("\uff02a\uff02", Cleaned("a", quotes=True)),
        ("1\r", Cleaned("1", carriage_return=True)),
        ("", Cleaned("")),
    ],
)
def test_clean(text: str, cleaned: Cleaned) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("given", "left"),
    [({"TZ": ""}, {}), ({"TZ": '""'}, {}), ({"TZ": '"Asia/Tokyo"'}, {"TZ": "Asia/Tokyo"}), ({"A": ""}, {"A": ""})],
)
def test_an_empty_time_zone_counts_as_unset(given: dict[str, str], left: dict[str, str]) -> None:
    settle_time_zone(given)
    assert given == left


def test_the_time_zone_of_this_process_follows() -> None:
    code = (
        "import os, time; from dmsinit.base.literal import settle_time_zone; settle_time_zone(); "
        "print(time.strftime('%Z', time.localtime(0)), 'TZ' in os.environ)"
    )
    environ = {"TZ": "'Asia/Tokyo'", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "JST True\n"
