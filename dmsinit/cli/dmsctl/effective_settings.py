"""`dmsctl config`: what each setting is in force, and where it comes from. Needs no running server."""

import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from dmsinit.base import text

_SOURCES = {
    "env": "environment",
    "file": "file",
    "alias": "former name",
    "rule": "another setting",
    "default": "default",
}


class Failed(Exception):
    """The settings cannot be read; the cause was told already, or is the message."""


def read() -> dict[str, Any]:
    """Return what `dmsinit render --settings` tells."""
    try:
        done = subprocess.run(["dmsinit", "render", "--settings"], stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise Failed(f"cannot run dmsinit: {error.strerror}; run this in the image") from None
    if done.returncode or not done.stdout:
        sys.stderr.write(done.stdout)
        raise Failed("the settings cannot be used; see above")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def chosen(settings: Iterable[dict[str, str]], names: list[str], *, changed: bool) -> list[dict[str, str]]:
    """Return the settings with these names (all when there are none), or only those that are not the default."""
    wanted = {name.upper() for name in names}
    return [
        one
        for one in settings
        if (not wanted or one["name"] in wanted) and not (changed and one["source"] == "default")
    ]


def table(settings: Iterable[dict[str, str]]) -> str:
    """Return one line a setting: name, value, where it comes from."""
    rows = [(one["name"], one["value"], _origin(one)) for one in settings]
    return text.table([("SETTING", "VALUE", "FROM"), *rows])


def _origin(one: dict[str, str]) -> str:
    source = _SOURCES.get(one["source"], one["source"])
    return f"{source} {one['origin']}" if one.get("origin") else source
