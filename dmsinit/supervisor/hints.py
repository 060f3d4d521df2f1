"""What a person may do about a failure, where the words of the service or its ending are known to mean something.

Contract: generic, it knows no daemon by name; pure; one sentence or nothing. The last matching line counts, since what
was written last is nearest to the failure; an ending is asked only when no line says anything.
"""

import errno
import re
from collections.abc import Iterable
from typing import Final

from dmsinit.supervisor.children import Exit

_LINES: Final[tuple[tuple[str, str], ...]] = (
    (
        "address already in use",
        "another process listens there already: stop it, or give one of the two another port or socket",
    ),
    (
        "cannot assign requested address",
        "the address to listen on does not belong to this container: correct the address, or give it to the container",
    ),
    ("no space left on device|disk quota exceeded", "the disk is full: free space on it (df -h, df -i), or enlarge it"),
    (
        "read-only file system",
        "it has to write where the container may only read: mount that volume without `ro`, or a writable one there",
    ),
    (
        "too many open files",
        "it has no file descriptors left: raise `nofile` in the [limits] of the service, or the container's ulimit",
    ),
    (
        "cannot allocate memory|out of memory|memoryerror|bad_alloc",
        "out of memory: give the container more memory, or turn off what uses much",
    ),
    (
        "resource temporarily unavailable",
        "a limit of processes or memory was hit: raise the container's pids limit, or find what starts so many",
    ),
    (
        "error while loading shared libraries|cannot open shared object",
        "a library it needs is missing: install the package that holds it in the image",
    ),
    (
        "exec format error",
        "the program was built for another kind of processor: install the package for this one",
    ),
    (
        "operation not permitted",
        "the container does not have this privilege: give it the capability (`cap_add` in compose.yaml), or do without",
    ),
    (
        "permission denied",
        "permission denied: check owner and mode of the path that it names, and its `user`",
    ),
    (
        "temporary failure in name resolution|name or service not known",
        "a host name cannot be resolved: look at the name, and at the container's DNS server (`dns` in compose.yaml)",
    ),
    (
        "connection refused",
        "what it connects to does not listen: look whether that service runs, and at the address",
    ),
    (
        "no such file or directory",
        "a file that it needs is missing: look at the path that it names, and whether its volume is mounted",
    ),
)
_PATTERNS: Final = tuple((re.compile(pattern, re.IGNORECASE), hint) for pattern, hint in _LINES)

_CODES: Final = {
    126: "a program was found but could not be executed: look at its mode and its first line",
    127: "a program was not found: install it in the image, or correct the command of the service",
}
_SIGNALS: Final = {
    4: "its program uses instructions that this processor does not have: install one that was built for it",
    9: "somebody killed it, or the kernel of the host did: look for out-of-memory messages in its log (dmesg)",
    11: "it crashed: report it to its developers, with its last log lines",
    25: "a file grew beyond the limit of file size: raise the container's ulimit `fsize`",
    31: "a seccomp profile forbids a system call that it makes: run the container with a newer or wider profile",
}
_SHORTAGES: Final = {
    errno.EMFILE: "dmsinit has no file descriptors left: raise the container's ulimit `nofile`",
    errno.ENFILE: "the host has no file descriptors left: raise its fs.file-max",
    errno.EAGAIN: "the container's process limit is reached: raise its pids limit, or find what starts so many",
    errno.ENOMEM: "out of memory: give the container more, or turn off what uses much",
}
OUT_OF_MEMORY: Final = "give the container more memory (`mem_limit` in compose.yaml), or turn off what takes much"


def hint(lines: Iterable[str], ended: Exit | None = None) -> str:
    """Return what to do about a failure with these last log lines (oldest first) and this ending, or nothing."""
    for line in reversed(list(lines)):
        for pattern, sentence in _PATTERNS:
            if pattern.search(line):
                return sentence
    if ended is None:
        return ""
    if ended.signal is not None:
        return _SIGNALS.get(ended.signal, "")
    return _CODES.get(ended.code or 0, "")


def shortage(error: OSError) -> str:
    """Return what to do about an error of the kernel that says what we ourselves have run out of, or nothing."""
    return _SHORTAGES.get(error.errno or 0, "")
