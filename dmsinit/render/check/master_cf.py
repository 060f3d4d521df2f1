"""Services of master.cf (master(5)), as text says them: what runs, and with which exceptions from main.cf."""

import re
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"\{[^{}]*\}|\S+")
_COLUMNS: Final = 8


@dataclass(frozen=True)
class Entry:
    """One service: `name` and `kind` (inet, unix, fifo, unix-dgram, pass) name it, `command` is its daemon."""

    name: str
    kind: str
    unprivileged: bool
    process_limit: str
    """As it is written: a number, or `-` for the default."""
    command: str
    arguments: tuple[str, ...]
    instead: tuple[str, str] = ("", "")
    """Which parameter is set in the place of which other, only for a check."""
    behind_proxy: bool = False
    """Whether its client is one that a proxy announces (smtpd(8) reads how only then), only for a check."""

    @property
    def options(self) -> dict[str, str]:
        """The parameters that the entry sets with -o, and their values."""
        pairs = zip(self.arguments, self.arguments[1:], strict=False)
        settings = [value.partition("=") for option, value in pairs if option == "-o"]
        return {name.strip(): value.strip() for name, equals, value in settings if equals}


def entries(text: str) -> list[Entry]:
    """Return the services in the text of a master.cf; lines that are none are left out, postconf(1) reports them."""
    logical: list[str] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and logical:
            logical[-1] += " " + line
        else:
            logical.append(line)
    found = []
    for line in logical:
        words = [_without_braces(word) for word in _WORD.findall(line)]
        if len(words) >= _COLUMNS:
            name, kind, _private, unprivileged, _chroot, _wakeup, limit, command, *arguments = words
            found.append(Entry(name, kind, unprivileged != "n", limit, command, tuple(arguments)))
    return found


def _without_braces(word: str) -> str:
    return word[1:-1].strip() if word.startswith("{") and word.endswith("}") else word
