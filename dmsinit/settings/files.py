"""`NAME__FILE`: values that stand in files, such as mounted secrets."""

import os
import stat
from collections.abc import Callable, Mapping
from typing import Final

from dmsinit.base.literal import clean
from dmsinit.problem import Problem

SUFFIX: Final = "__FILE"
LARGEST_BYTES: Final = 128 * 1024
"""Linux's limit of one environment string (execve(2), MAX_ARG_STRLEN): what could not be a value is not read."""

ReadFile = Callable[[str], str]


def read_regular(path: str) -> str:
    """Return the text of a regular file; raise OSError, or ValueError with the reason.

    It is looked at before it is opened: a named pipe must not hold up the start.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("it is not a regular file")
    with open(path, "rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES // 1024} KiB")
    return content.decode("utf-8-sig")


class FromFiles:
    """What the `__FILE` variables of an environment gave: values, and what to tell about them."""

    def __init__(self, environ: Mapping[str, str], read_file: ReadFile) -> None:
        self.values: dict[str, str] = {}
        self.notes: list[str] = []
        self.warnings: list[Problem] = []
        for variable in sorted(environ):
            name = variable.removesuffix(SUFFIX)
            if name and name != variable and environ[variable]:
                self._take(variable, name, environ, read_file)

    def _take(self, variable: str, name: str, environ: Mapping[str, str], read_file: ReadFile) -> None:
        path = clean(environ[variable]).text
        if path != environ[variable]:
            cause = f"{environ[variable]!r} is read as {path!r}"
            self.warnings.append(Problem(variable, cause, "write the path without quotation marks and comments"))
        if name in environ:
            self.warnings.append(
                Problem(variable, f"{name} is set too and wins, the file is ignored", f"remove {name} or {variable}")
            )
            return
        try:
            text = read_file(path)
        except UnicodeDecodeError:
            reason = "it is not UTF-8"
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "it cannot be opened"
        except ValueError as error:
            reason = str(error)
        else:
            self.values[name] = text.rstrip("\r\n")
            self.notes.append(f"{name} is taken from the file {path!r} ({variable})")
            return
        remedy = "mount the file or correct the path"
        self.warnings.append(Problem(variable, f"cannot read {path!r}: {reason}; {name} stays unset", remedy))
