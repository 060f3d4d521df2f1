"""The lines of a service in mail.log, told by the name of the program that wrote them: never by a word in the text."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Final

from dmsinit.control.client import Unreachable, request

PATH: Final = "/var/log/mail/mail.log"
_BLOCK_BYTES: Final = 1 << 20


def is_of(line: str, programs: Collection[str]) -> bool:
    """Return whether one of these programs wrote a line: `TIME HOST NAME[PID]: …`, where NAME may be `PROGRAM/PART`."""
    words = line.split(None, 3)
    if len(words) < 3 or not words[2].endswith(":"):
        return False
    name = words[2][:-1].partition("[")[0]
    return name in programs or name.partition("/")[0] in programs


def last_lines(programs: Collection[str], count: int, path: str = PATH) -> list[str]:
    """Return the last `count` lines of these programs, oldest first; the file is read from its end."""
    found: list[str] = []
    if count <= 0:
        return found
    try:
        for line in _backwards(path):
            if is_of(line, programs):
                found.append(line)
                if len(found) == count:
                    break
    except FileNotFoundError:
        return []
    except OSError as error:
        print(f"dmsctl: cannot read {path}: {error.strerror}; run this as root", file=sys.stderr)
    return found[::-1]


def _backwards(path: str) -> Iterator[str]:
    """Yield the lines of a file, the last one first."""
    with open(path, "rb") as file:
        position, rest = file.seek(0, os.SEEK_END), b""
        while position > 0:
            size = min(_BLOCK_BYTES, position)
            position -= size
            file.seek(position)
            first, *lines = (file.read(size) + rest).split(b"\n")
            rest = first
            for line in reversed(lines):
                if line:
                    yield line.decode("utf-8", "replace")
        if rest:
            yield rest.decode("utf-8", "replace")


def follow(target: str, programs: Collection[str], show: Callable[[str], None], path: str = PATH) -> None:
    """Show new lines of these programs, and those that the control API streams at `target`, until interrupted."""
    threading.Thread(target=_follow_output, args=(target, show), daemon=True).start()
    with subprocess.Popen(["tail", "-n", "0", "-F", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tail:
        try:
            for raw in tail.stdout or ():
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if is_of(line, programs):
                    show(line)
        finally:
            tail.terminate()


def _follow_output(target: str, show: Callable[[str], None]) -> None:
    try:
        for record in request("GET", target).lines():
            show(record["line"])
    except Unreachable:
        return  # PID 1 has gone; mail.log may have more
