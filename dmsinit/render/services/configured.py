"""What the installed configuration says about where daemons listen, for the probes in services/NAME.toml.

A user may move any listener: in an override file, or in user-patches.sh, which runs after all files are in place. So
the probes ask what is installed: the daemon's own file, in the forms that `setting` knows.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dmsinit.render.paths import Root
from dmsinit.render.services import master_cf
from dmsinit.render.services.addresses import bound_to, inet, milter_at


@dataclass
class Configured:
    """Answers questions about installed files; `asked` are the files that it has looked into."""

    root: Root
    asked: set[str] = field(default_factory=set)
    _doors: dict[str, str] = field(default_factory=dict)

    def names(self) -> Mapping[str, Callable[..., Any]]:
        """Return what the expressions of services may call; each reading of the services asks Postfix anew."""
        self._doors.clear()
        return {
            "setting": self.setting,
            "smtp_at": self.smtp_at,
            "milter_at": milter_at,
            "inet": inet,
            "bound_to": bound_to,
        }

    def setting(self, paths: str, key: str, default: str = "") -> str:
        """Return the last value of `key` in files (blanks between them; later ones win), or `default`.

        A path that ends with `/*` is all files of a directory, in the order of their names.
        The forms: `Key value`, `key = value`, `key: value`, `KEY='value'`, `$key = value;`. Of a list, its first item.
        """
        found = default
        pattern = re.compile(rf"^[ \t]*[$@]?{re.escape(key)}(?:[ \t]*[=:][ \t]*|[ \t]+)([^\n]*)", re.MULTILINE)
        for path in self._files(paths):
            for match in pattern.finditer((self.root.read(path) or b"").decode("utf-8", "replace")):
                found = _plain(match.group(1))
        return found

    def _files(self, paths: str) -> list[str]:
        found = []
        for path in paths.split():
            directory = path.removesuffix("/*")
            found += [path] if directory == path else [f"{directory}/{name}" for name in self.root.listing(directory)]
        self.asked.update(found)
        return found

    def smtp_at(self, own: str) -> str:
        """Return where Postfix is asked: its service `own` (a UNIX-domain socket), and postscreen where it runs."""
        self.asked.update(("/etc/postfix/main.cf", "/etc/postfix/master.cf"))
        if own not in self._doors:  # readiness and health ask for the same, and postconf(1) takes a while
            self._doors[own] = " ".join(master_cf.doors(own, self.root))
        return self._doors[own]


def _plain(text: str) -> str:
    """Return a value without what its file's language has around it: quotation marks, lists, comments."""
    text = text.strip().lstrip("[(").strip()
    if text[:1] in ("'", '"'):
        return text[1:].partition(text[0])[0]
    if text.startswith("qw("):
        text = text[3:]
    return re.split(r"[\s,;\])#]", text, maxsplit=1)[0]
