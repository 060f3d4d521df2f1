"""rspamd/custom-commands.conf: one command a line, each an edit of files in /etc/rspamd/override.d.

    disable-module MODULE                        MODULE.conf becomes a link to its documentation and `enabled = false;`
    enable-module MODULE                         the same with `enabled = true;`
    set-option-for-module MODULE OPTION VALUE…   in MODULE.conf
    set-option-for-controller OPTION VALUE…      in worker-controller.inc
    set-option-for-proxy OPTION VALUE…           in worker-proxy.inc
    set-common-option OPTION VALUE…              in options.inc
    add-line FILE TEXT…                          TEXT, as it stands, at the end of FILE

An option that is there gets the new value, and keeps its indentation; otherwise `OPTION = VALUE;` is added at the end.
Lines that are empty or begin with # are comments.
"""

import re
from collections.abc import Callable, MutableMapping
from typing import Final

_NAME: Final = re.compile(r"\w[\w.-]*")

Files = MutableMapping[str, str]
"""The texts of the files in override.d, by name."""


class Misused(Exception):
    """A line that cannot be carried out; the message completes `LINE …`."""


def apply(text: str, files: Files) -> list[tuple[int, str]]:
    """Carry out all commands of a text on `files`; return the numbers of lines that are skipped, and why."""
    skipped = []
    for number, line in enumerate(text.splitlines(), 1):
        command = line.strip()
        if not command or command.startswith("#"):
            continue
        try:
            _carry_out(line.lstrip(), files)
        except Misused as misused:
            skipped.append((number, str(misused)))
    return skipped


def _carry_out(line: str, files: Files) -> None:
    name, *rest = line.split(None, 1)
    handler = _COMMANDS.get(name)
    if handler is None:
        raise Misused(f"is not a command: {name}")
    handler(rest[0] if rest else "", files)


def _module(value: str) -> Callable[[str, Files], None]:
    def switch(rest: str, files: Files) -> None:
        (module,) = _words(rest, "MODULE")
        link = f"# documentation: https://rspamd.com/doc/modules/{module}.html\n\n"
        files[_file(f"{module}.conf")] = f"{link}enabled = {value};\n"

    return switch


def _module_option(rest: str, files: Files) -> None:
    module, option, value = _words(rest, "MODULE", "OPTION", "VALUE")
    _set(files, f"{module}.conf", option, value)


def _option_in(file: str) -> Callable[[str, Files], None]:
    def change(rest: str, files: Files) -> None:
        option, value = _words(rest, "OPTION", "VALUE")
        _set(files, file, option, value)

    return change


def _add_line(rest: str, files: Files) -> None:
    words = re.fullmatch(r"\s*(\S+)[ \t](.*)", rest)
    if not words:
        raise Misused("is incomplete; write add-line FILE TEXT")
    name, text = _file(words.group(1)), words.group(2)
    files[name] = _complete(files.get(name, "")) + text + "\n"


def _set(files: Files, name: str, option: str, value: str) -> None:
    name = _file(name)
    text = _complete(files.get(name, ""))
    present = re.compile(rf"^([ \t]*){re.escape(option)}([ \t]*)=.*$", re.MULTILINE)
    line = f"{option} = {value.removesuffix(';').rstrip()};"
    replaced, count = present.subn(lambda match: match.group(1) + line, text)
    files[name] = replaced if count else f"{text}{line}\n"


def _words(rest: str, *names: str) -> list[str]:
    """Return as many words as there are names, the last with everything that is left."""
    words = rest.split(None, len(names) - 1)
    if len(words) != len(names):
        raise Misused(f"needs {' '.join(names)}")
    return [word.strip() for word in words]


def _file(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Misused(f"names no file in /etc/rspamd/override.d: {name}")
    return name


def _complete(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


_COMMANDS: Final[dict[str, Callable[[str, Files], None]]] = {
    "disable-module": _module("false"),
    "enable-module": _module("true"),
    "set-option-for-module": _module_option,
    "set-option-for-controller": _option_in("worker-controller.inc"),
    "set-option-for-proxy": _option_in("worker-proxy.inc"),
    "set-common-option": _option_in("options.inc"),
    "add-line": _add_line,
}
COMMANDS: Final = tuple(_COMMANDS)
