"""Starting a process without code of ours between fork and exec; a leaf, since PID 1 does it before it imports more."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_EVERY_SIGNAL: Final = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def spawn_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: int | None,
    stdout: int | None,
    stderr: int | None,
    umask: int = 0o022,
    more: Sequence[int] = (),
) -> int:
    """Start a process and return its pid; whoever calls this must hand the pid to `Children.adopt`.

    `more` are descriptors that it gets as 3, 4, …
    """
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
    for target, source in enumerate((stdin, stdout, stderr, *more)):
        if source is None:
            mode = os.O_RDONLY if target == 0 else os.O_WRONLY
            actions.append((os.POSIX_SPAWN_OPEN, target, "/dev/null", mode, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, source, target))
    # The umask is the process's, not the thread's: PID 1 has one thread, and nothing runs between these lines.
    previous = os.umask(umask)
    try:
        return os.posix_spawnp(
            argv[0], list(argv), env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_EVERY_SIGNAL
        )
    finally:
        os.umask(previous)


class RenderProcess(NamedTuple):
    """A running `dmsinit render` with our ends of its pipes; `began` is a time of the monotonic clock."""

    pid: int
    stdin: int
    stdout: int
    began: float


def start_render(mode: str, instance: int | None = None) -> RenderProcess:
    """Start `dmsinit render MODE`, which adds its watches to an inotify instance; its log lines go where ours go."""
    began = time.monotonic()
    child_in, our_in = os.pipe2(os.O_CLOEXEC)
    our_out, child_out = os.pipe2(os.O_CLOEXEC)
    try:
        argv = [sys.executable, "-I", "-m", "dmsinit", "render", mode, "--watch", "none" if instance is None else "3"]
        more = () if instance is None else (instance,)
        pid = spawn_process(argv, env=os.environ, stdin=child_in, stdout=child_out, stderr=2, more=more)
    finally:
        os.close(child_in)
        os.close(child_out)
    return RenderProcess(pid, our_in, our_out, began)
