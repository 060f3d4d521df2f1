"""The one owner of waiting: every child of PID 1 is spawned and reaped here, and nowhere else.

Contract:
- `spawn` creates the process and registers it without an await between, so its end can never be missed.
- An exit status goes to the owner of the child or, for an orphan that the kernel gave to PID 1, to nobody; it is
  never taken by one on behalf of the other. Orphans are found with WNOWAIT and reaped only when nobody owns them.
- A child has default signal dispositions, an empty signal mask, a session of its own, and no descriptor beyond 0-2.
- Signals go through pidfds, so that a recycled pid is never hit.

Where pidfds are blocked (an old seccomp profile), SIGCHLD and the same loop do the work, and `pidfds` is False.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from dmsinit.base.spawn import spawn_process

_REAP_BATCH: Final = 64
"""Orphans reaped before the event loop gets its turn again: a storm of thousands must not stop the clock."""


class Exit(NamedTuple):
    """How a process ended: an exit code, or the number of the signal that killed it."""

    code: int | None
    signal: int | None

    @property
    def success(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"killed by signal {self.signal}"


class Child:
    """A process that somebody of us started: `ended` is a future of its Exit; `close` forgets it."""

    def __init__(self, pid: int, pidfd: int | None, ended: "asyncio.Future[Exit]") -> None:
        self.pid = pid
        self.ended = ended
        self._pidfd = pidfd

    @property
    def alive(self) -> bool:
        return not self.ended.done()

    def send_signal(self, number: int) -> None:
        """Send a signal; does nothing when the process has ended."""
        if not self.alive:
            return
        try:
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    async def wait(self) -> Exit:
        """Return how it ended; cancelling the wait does not touch the process."""
        return await asyncio.shield(self.ended)

    def _end(self, result: Exit) -> None:
        if not self.ended.done():
            self.ended.set_result(result)
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None


class Children:
    """All children of this process. One instance a process; `open` it inside the event loop."""

    def __init__(self) -> None:
        self.pidfds = True
        self.orphans_reaped = 0
        self._look_is_due = False
        self._owned: dict[int, Child] = {}
        self._promised: dict[int, Child] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, promised: Iterable[int] = ()) -> None:
        """Begin to listen for SIGCHLD in the running event loop.

        `promised` are children that were started before, and that somebody will `adopt`: one that has ended already
        must not pass for an orphan.
        """
        self._loop = asyncio.get_running_loop()
        for pid in promised:
            self._promised[pid] = self._own(pid)
        self._loop.add_signal_handler(signal.SIGCHLD, self._child_ended)
        # A byte for each signal goes through a pipe. That it is full in a storm is no loss, since we look once for all;
        # Python would print a traceback for each byte.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
        self._reap()

    def close(self) -> None:
        """Stop listening; processes are left alone."""
        if self._loop is not None:
            self._loop.remove_signal_handler(signal.SIGCHLD)
            for child in self._owned.values():
                if child._pidfd is not None:
                    self._loop.remove_reader(child._pidfd)
                    os.close(child._pidfd)
                    child._pidfd = None

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        umask: int = 0o022,
    ) -> Child:
        """Start `argv` (found by PATH) in a session of its own; None as a descriptor is /dev/null.

        Raises OSError when it cannot be started at all.
        """
        pid = spawn_process(argv, env=env, stdin=stdin, stdout=stdout, stderr=stderr, umask=umask)
        return self.adopt(pid)

    def adopt(self, pid: int) -> Child:
        """Own a child that is not reaped yet: one just started, or one that was promised to `open`."""
        return self._promised.pop(pid) if pid in self._promised else self._own(pid)

    def _own(self, pid: int) -> Child:
        loop = self._loop or asyncio.get_running_loop()
        pidfd: int | None = None
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # those pass; SIGCHLD tells of this one
                self.pidfds = False
        child = Child(pid, pidfd, loop.create_future())
        self._owned[pid] = child
        if pidfd is not None:
            loop.add_reader(pidfd, self._pidfd_readable, child)
        else:
            loop.call_soon(self._reap)
        return child

    def owned(self) -> set[int]:
        """Return the pids of the children that somebody of us waits for."""
        return set(self._owned)

    def _pidfd_readable(self, child: Child) -> None:
        info = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG)
        if info is not None:
            self._deliver(info)

    def reap_all(self) -> None:
        """Reap everything that has ended, before somebody looks at what is left.

        In a storm of orphans this is cheaper than to look at each dead one, and then the next look is cheap, too.
        """
        while self._reap_batch():
            pass

    def _child_ended(self) -> None:
        """Look soon, once for all that have ended; until then the kernel need not tell of more."""
        if not self._look_is_due:
            self._look_is_due = True
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            asyncio.get_running_loop().call_soon(self._reap)

    def _reap(self) -> None:
        """Reap what has ended, each exit status to its owner; orphans to nobody."""
        if self._reap_batch():
            self._look_is_due = True
            asyncio.get_running_loop().call_soon(self._reap)
        else:
            self._look_is_due = False
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def _reap_batch(self) -> bool:
        """Reap some; return whether there may be more."""
        for _ in range(_REAP_BATCH):
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if info is None:
                return False
            reaped = os.waitid(os.P_PID, info.si_pid, os.WEXITED | os.WNOHANG)
            if reaped is not None:
                self._deliver(reaped)
        return True

    def _deliver(self, info: os.waitid_result) -> None:
        child = self._owned.pop(info.si_pid, None)
        if child is None:
            self.orphans_reaped += 1
        elif info.si_code == os.CLD_EXITED:
            child._end(Exit(info.si_status, None))
        else:
            child._end(Exit(None, info.si_status))
