"""Run Postfix daemons as master(8) does, but on another configuration and queue, until each has answered or died.

Most values of main.cf and all its tables are read by the daemons alone, when they start. Whether they can is found out
by starting them: each gets what master(8) would give it (a listening socket on descriptor 6, the pipes on 3 to 5, see
`master_proto.h`) and a client that is already connected. A daemon that greets this client, or closes the connection,
has read its configuration and opened its tables. smtpd(8) runs in stand-alone mode (`-S`): it asks nobody else.
Where a proxy announces its clients, it is started once more in the usual way: it asks nobody before the proxy has
spoken.

Nothing real is touched: the queue, the data directory and the log are in a directory of this run (POSTLOG_SERVICE, the
way in which Postfix logs to postlogd(8), leads to a socket here). No message is given to any daemon.
"""

import os
import re
import selectors
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, chdir, suppress
from dataclasses import dataclass, field
from typing import Final

from dmsinit.render.check.master_cf import Entry

DAEMONS: Final = "/usr/lib/postfix/sbin"
NOT_TRIED: Final = ("postlogd", "spawn", "pipe")
"""The first is asked by no stream; the others start programs of others."""
ASKED_BY_OTHERS: Final = ("proxymap", "tlsmgr")
"""Daemons that others need while they start: for tables of type proxy:, and for random numbers."""

DEADLINE_SECONDS: Final = 5.0
"""They need 10 ms each; what is silent after this time proves nothing, and a start waits for it."""
GRACE_SECONDS: Final = 1.0
"""How long a daemon is heard that has complained of a table: some answer nobody then, but open the other tables."""
_WOKEN: Final = ("pickup", "qmgr")
"""Trigger servers: they answer to a byte."""
_QUEUE: Final = (
    "public", "private", "data", "pid", "maildrop", "incoming", "active", "deferred", "defer", "bounce", "trace",
    "flush", "hold", "corrupt", "saved",
)  # fmt: skip
_LINE: Final = re.compile(
    rb"\w{3} +\d+ [\d:]{8} \S+ [^\s\[]+\[(\d+)\]: (?:(warning|error|fatal|panic): )?(.*)", re.DOTALL
)
_LAST: Final = ("fatal", "panic")
_FLOW_TOKENS: Final = 1024
"""How many messages cleanup(8) takes before it waits for the queue manager: it reads a byte for each, and would wait
for the first one (`in_flow_delay`, mail_flow_get() of Postfix)."""
_FIRST_SPARE_DESCRIPTOR: Final = 900


@dataclass(frozen=True)
class Said:
    """A line that a daemon logged; `level` is warning, error, fatal, panic or "" for information."""

    level: str
    text: str


@dataclass
class Attempt:
    """One service: what it logged, and whether it answered."""

    entry: Entry
    said: list[Said] = field(default_factory=list)
    answered: bool = False


class MiniMaster:
    """Starts services on the main.cf and master.cf in `configuration`, with a queue of their own below `directory`."""

    def __init__(self, configuration: str, directory: str, *, owner: tuple[int, int] | None) -> None:
        """`owner`: uid and gid of the queue (mail_owner); None leaves it to who runs this."""
        self._queue = directory
        for name in _QUEUE:
            os.makedirs(f"{directory}/{name}", mode=0o755)
            if owner:
                os.chown(f"{directory}/{name}", *owner)
        self._environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "MAIL_CONFIG": configuration,
            "POSTLOG_SERVICE": f"{directory}/public/postlog",
            "POSTLOG_HOSTNAME": "localhost",
        }
        self._attempts: dict[int, Attempt] = {}
        self._waiting: dict[int, float] = {}
        """Until when each process may take to answer."""
        self._cleanup = ExitStack()

    def run(self, wanted: Iterable[Entry], helpers: Iterable[Entry] = ()) -> list[Attempt]:
        """Start the services, and `helpers` when one of them asks; return what became of all that were started."""
        with self._cleanup, chdir(self._queue):  # where master(8) starts them
            self._cleanup.callback(self._end_all)
            self._open()
            for helper in helpers:
                listener = self._listen(f"{self._queue}/private/{helper.name}")
                self._selector.register(listener, selectors.EVENT_READ, (listener, helper))
            for number, entry in enumerate(wanted):
                self._start(entry, f"{self._queue}/public/client-{number}")
            while self._waiting and (left := max(self._waiting.values()) - time.monotonic()) > 0:
                self._wait(left)
            self._drain()
        return list(self._attempts.values())

    def _open(self) -> None:
        self._selector = self._cleanup.enter_context(selectors.DefaultSelector())
        self._log = self._cleanup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        _bind(self._log, self._environment["POSTLOG_SERVICE"])
        self._log.setblocking(False)
        self._selector.register(self._log, selectors.EVENT_READ, None)
        self._flow = self._pipe()
        os.set_blocking(self._flow[0], False)
        os.write(self._flow[1], bytes(_FLOW_TOKENS))
        self._status = self._pipe()

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        for end in ends:
            self._cleanup.callback(os.close, end)
        return ends

    def _listen(self, path: str) -> socket.socket:
        listener = self._cleanup.enter_context(socket.socket(socket.AF_UNIX))
        _bind(listener, path)
        listener.listen()
        return listener

    def _start(self, entry: Entry, path: str) -> None:
        if entry.command == "smtpd" and not entry.behind_proxy:
            client, server = socket.socketpair()
            self._cleanup.enter_context(client)
            with server:
                pid = self._spawn(entry, {0: server.fileno(), 1: server.fileno()}, "-S")
        else:
            listener = self._listen(path)
            client = self._cleanup.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            if entry.command in _WOKEN:
                client.send(b"W")
            pid = self._spawn(entry, self._as_master_gives(listener))
            listener.close()
        if pid is not None:
            self._waiting[pid] = time.monotonic() + DEADLINE_SECONDS
            client.setblocking(False)
            client.shutdown(socket.SHUT_WR)  # who says nothing before it is asked (dnsblog) closes the connection
            self._selector.register(client, selectors.EVENT_READ, (client, pid))

    def _as_master_gives(self, listener: socket.socket) -> dict[int, int]:
        return {3: self._flow[0], 4: self._flow[1], 5: self._status[1], 6: listener.fileno()}

    def _spawn(self, entry: Entry, descriptors: dict[int, int], *mode: str) -> int | None:
        """Start a daemon; None when its program is not there."""
        program = f"{DAEMONS}/{entry.command}"
        limit = {"0": "-z", "1": "-l"}.get(entry.process_limit)
        argv = [program, "-n", entry.name, "-t", "unix", *([limit] if limit else []), *mode]
        argv += ["-u"] if entry.unprivileged and not mode else []
        argv += [*entry.arguments, *self._in_our_place()]
        try:
            pid = os.posix_spawn(program, argv, self._environment, file_actions=_actions(descriptors), setsid=True)
        except FileNotFoundError:
            return None
        self._attempts[pid] = Attempt(entry)
        return pid

    def _in_our_place(self) -> list[str]:
        """Return what keeps a daemon away from the queue, the caches and the log of the server."""
        settings = {
            "queue_directory": self._queue,
            "data_directory": f"{self._queue}/data",
            "maillog_file": f"{self._queue}/log",
            "maillog_file_prefixes": "/",
            "address_verify_map": "btree:$data_directory/verify_cache",
            "postscreen_cache_map": "btree:$data_directory/postscreen_cache",
        }
        return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            match key.data:
                case socket.socket() as listener, Entry() as helper:
                    self._selector.unregister(listener)
                    self._spawn(helper, self._as_master_gives(listener))
                case socket.socket() as client, int() as pid:
                    self._selector.unregister(client)
                    self._hear(client, pid)
                case _:
                    self._read_log()

    def _hear(self, client: socket.socket, pid: int) -> None:
        """Note an answer. The connection of a process that dies is closed, too: what it logged before is read first."""
        self._drain()
        if pid not in self._waiting:
            return
        with suppress(OSError):
            data = client.recv(1)
            dead = not data and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            self._attempts[pid].answered = not dead
        del self._waiting[pid]
        os.kill(pid, signal.SIGKILL)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._take(self._log.recv(65536))

    def _read_log(self) -> None:
        with suppress(BlockingIOError):
            self._take(self._log.recv(65536))

    def _take(self, datagram: bytes) -> None:
        match = _LINE.match(datagram)
        attempt = self._attempts.get(int(match.group(1))) if match else None
        if match is None or attempt is None:
            return
        level, text = (match.group(2) or b"").decode(), match.group(3).decode("utf-8", "replace").strip()
        attempt.said.append(Said(level, text))
        pid = int(match.group(1))
        if level in _LAST:
            self._waiting.pop(pid, None)  # it sleeps a second before it ends
        elif level == "error" and pid in self._waiting:
            self._waiting[pid] = min(self._waiting[pid], time.monotonic() + GRACE_SECONDS)

    def _end_all(self) -> None:
        for pid in self._attempts:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _actions(descriptors: dict[int, int]) -> Sequence[tuple[int, int, int] | tuple[int, int] | tuple[object, ...]]:
    """Return what gives a child these descriptors (number there → ours), and /dev/null on 0 to 2 otherwise."""
    actions: list[tuple[object, ...]] = []
    spare = {number: _FIRST_SPARE_DESCRIPTOR + number for number in descriptors}
    actions += [(os.POSIX_SPAWN_DUP2, ours, spare[number]) for number, ours in descriptors.items()]
    actions += [(os.POSIX_SPAWN_DUP2, spare[number], number) for number in descriptors]
    actions += [(os.POSIX_SPAWN_CLOSE, place) for place in spare.values()]
    actions += [
        (os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3) if number not in descriptors
    ]
    return actions


def _bind(listener: socket.socket, path: str) -> None:
    """Make a socket to which daemons without privileges connect (0666), as to those of the real queue.

    Not by chmod(2): the directory is Postfix' own, whose processes could put a link in its place meanwhile.
    """
    mask = os.umask(0o111)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
