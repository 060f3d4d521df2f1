"""The check of Dovecot's plugins: doveconf(1) takes any name, and each session fails to load one that is not there."""

import re
from collections.abc import Iterator
from typing import Final

from dmsinit.render.paths import Root

MODULES: Final = "/usr/lib/dovecot/modules"
_OPENS: Final = re.compile(r"\s*(mail|login)_plugins \{")
_LIST: Final = re.compile(r"\s*(mail|login)_plugins = (.*)")
_SWITCHED_ON: Final = re.compile(r"\s*([\w-]+) = yes")
_DIRECTORY: Final = re.compile(r"^(mail|login)_plugin_dir = (\S+)", re.MULTILINE)


def missing_plugins(configuration: str, root: Root) -> list[tuple[str, str]]:
    """Return plugins that the output of `doveconf -n` switches on and that do not exist, and where they should be."""
    places = {"mail": MODULES, "login": f"{MODULES}/login", **dict(_DIRECTORY.findall(configuration))}
    present = {
        kind: {re.sub(r"^(?:lib\d*_)?|_plugin\.so$", "", name) for name in root.listing(place)}
        for kind, place in places.items()
    }
    wanted = dict.fromkeys(_wanted(configuration))
    return [(name, places[kind]) for kind, name in wanted if name.replace("-", "_") not in present[kind]]


def _wanted(configuration: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of each plugin that is switched on, for all or for some sessions."""
    inside = ""
    for line in configuration.splitlines():
        if opens := _OPENS.fullmatch(line):
            inside = opens.group(1)
        elif line.strip() == "}":
            inside = ""
        elif listed := _LIST.fullmatch(line):
            yield from ((listed.group(1), name) for name in listed.group(2).split())
        elif inside and (on := _SWITCHED_ON.fullmatch(line)):
            yield inside, on.group(1)
