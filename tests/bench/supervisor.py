"""dmsinit beside Debian's supervisor and s6, in one run: `make bench-supervisor`.

Each of the three is PID 1 of containers of one image (tests/bench/Containerfile), with the same services: shells that
announce themselves (see supervisor_inside.py). The daemons are those of the built image. Prints the table of medians
and writes docs/explanation/supervision-benchmark.md with its plot. Ends with 1 when dmsinit misses an aim.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.bench import supervisor_report as report
from tests.image.harness import DOMAIN, HOSTNAME, IMAGE, ROOT, UP, Containers, account

BENCH_IMAGE: Final = "localhost/dmsinit-bench:latest"
HERE: Final = Path(__file__).resolve().parent
CONTENDERS: Final = ("dmsinit", "supervisord", "s6")
PATIENCE_SECONDS: Final = 60.0

MANY: Final = 200
FEW: Final = 20
MOST: Final = 500
RESTARTS: Final = 60
CYCLES: Final = 7
BOOTS: Final = 3
STATUS_ROUNDS: Final = 50
IDLE_SECONDS: Final = 35
SETTLE_SECONDS: Final = 3.0
ORPHANS: Final = 10_000
DAEMON_ROUNDS: Final = 7
SWITCHES: Final = ("CLAMAV", "FAIL2BAN", "MTA_STS", "POSTGREY", "RSPAMD", "SRS")
QUIET_SHARE: Final = 0.8
QUIET_WAIT_SECONDS: Final = 10.0

SERVICE: Final = """#!/bin/sh
echo "$1 $$" 1<> /bench/run/started
echo $$ > "/bench/run/$1.pid"
read -r code < "/bench/run/$1.exit"
exit "$code"
"""
"""What all of them run. Opening a FIFO for both reading and writing never waits (fifo(7))."""

LISTENER: Final = """
import socket
server = socket.create_server(("127.0.0.1", 2525), backlog=100)
while True:
    client, _ = server.accept()
    client.sendall(b"220 bench\\r\\n")
    client.recv(100)
    client.close()
"""
"""Whom health probes ask."""


class Bench:
    """The engine, the services that the image has by itself, and the containers of this run."""

    def __init__(self) -> None:
        self.containers = Containers()
        print("building the image of the benchmark", file=sys.stderr, flush=True)
        command = [
            str(ROOT / "tools/engine"),
            "build",
            "--network=host",
            f"--build-arg=BASE={IMAGE}",
            "--tag",
            BENCH_IMAGE,
        ]
        built = subprocess.run(
            [*command, "--file", str(HERE / "Containerfile"), str(HERE)], capture_output=True, text=True
        )
        assert built.returncode == 0, built.stdout + built.stderr
        self.own_services = self.containers.command("ls", "/usr/share/dmsinit/services").output.split()

    @contextmanager
    def container(self, contender: str, count: int, *, probes: bool = False) -> Iterator["Contender"]:
        """Start one as PID 1 of a container with `count` services, and remove it at the end."""
        with tempfile.TemporaryDirectory(prefix="dmsinit-bench-") as folder:
            one = Contender(self, contender, count, Path(folder), probes=probes)
            try:
                one.start()
                yield one
            finally:
                one.remove()

    def inside(self, container: str, script: str, *arguments: object) -> Any:
        """Run one of our scripts in a container and return what it found."""
        words = [str(argument) for argument in arguments]
        result = self.containers.call("exec", container, "python3", "-I", f"/opt/bench/{script}", *words, timeout=900)
        assert result.code == 0, f"{script} {' '.join(words)} in {container}:\n{result.output}"
        return json.loads(result.output)


class Contender:
    """One supervisor in a container of its own; `boot_seconds` is from the start of PID 1 until all services ran."""

    def __init__(self, bench: Bench, name: str, count: int, folder: Path, *, probes: bool) -> None:
        self.bench = bench
        self.name = name
        self.container = f"dmsinit-bench-{os.getpid()}-{folder.name[-8:]}"
        self.boot_seconds = 0.0
        self._folder = folder
        self._names = [f"svc{number:03}" for number in range(count)]
        self._write(probes)

    def task(self, task: str, number: int = 0) -> Any:
        """Run a measurement of supervisor_inside.py."""
        return self.bench.inside(self.container, "supervisor_inside.py", self.name, task, number)

    def start(self) -> None:
        fd = os.open(self._folder / "run/started", os.O_RDWR | os.O_NONBLOCK)
        try:
            self._run()
            self.boot_seconds = self._until_all_run(fd)
        finally:
            os.close(fd)

    def remove(self) -> None:
        self.bench.containers.remove(self.container)

    def _run(self) -> None:
        commands = {"dmsinit": "dmsinit", "supervisord": "supervisord -c /bench/supervisord.conf"}
        command = commands.get(self.name, "s6-svscan /bench/scan")
        first = f"echo begins $$ 1<> /bench/run/started; exec {command}"
        self.bench.containers.checked(
            "run", "--detach", "--name", self.container, "--no-healthcheck", "--network=bridge", "--hostname", HOSTNAME,
            "--pids-limit=-1", "--volume", f"{self._folder}:/bench", "--volume", f"{HERE}:/opt/bench:ro",
            "--volume", f"{self._folder}/config:/tmp/docker-mailserver", BENCH_IMAGE, "sh", "-c", first,
        )  # fmt: skip

    def _until_all_run(self, fd: int) -> float:
        missing = {"begins", *self._names}
        began = 0.0
        deadline = time.monotonic() + PATIENCE_SECONDS
        rest = b""
        while missing:
            readable = select.select([fd], [], [], max(deadline - time.monotonic(), 0.0))[0]
            now = time.monotonic()
            assert readable, (
                f"{len(missing)} of {len(self._names)} services do not run under {self.name}: {self._log()}"
            )
            *lines, rest = (rest + os.read(fd, 65536)).split(b"\n")
            found = {line.split()[0].decode() for line in lines}
            began = now if "begins" in found else began
            missing -= found
        return now - began

    def _log(self) -> str:
        return self.bench.containers.call("logs", self.container).output[-2000:]

    # The services, as each of them wants them described

    def _write(self, probes: bool) -> None:
        for directory in ("run", "scan", "config/services"):
            (self._folder / directory).mkdir(parents=True)
        self._put("service", SERVICE)
        self._put("listener.py", LISTENER)
        os.mkfifo(self._folder / "run/started")
        for name in self._names:
            os.mkfifo(self._folder / f"run/{name}.exit")
        self._put("config/postfix-accounts.cf", account(f"anna@{DOMAIN}"))
        if self.name == "dmsinit":
            self._describe_to_dmsinit(probes)
        elif self.name == "supervisord":
            self._describe_to_supervisord()
        else:
            for name in self._names:
                self._put(f"scan/{name}/run", f"#!/bin/sh\nexec /bin/sh /bench/service {name}\n", 0o755)

    def _describe_to_dmsinit(self, probes: bool) -> None:
        for file in self.bench.own_services:
            self._put(f"config/services/{file}", "enabled = false\n")
        probe = '[health]\nprobe = "smtp"\naddress = "inet:127.0.0.1:2525"\ninterval = "15s"\n' if probes else ""
        for name in self._names:
            command = f'command = ["/bin/sh", "/bench/service", "{name}"]\n'
            self._put(f"config/services/{name}.toml", command + probe)
        if probes:
            self._put("config/services/listener.toml", 'command = ["python3", "-I", "/bench/listener.py"]\n')

    def _describe_to_supervisord(self) -> None:
        head = (
            "[supervisord]\nnodaemon=true\nuser=root\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
            "pidfile=/run/supervisord.pid\nminfds=4096\n"
            "[unix_http_server]\nfile=/run/supervisor.sock\n"
            "[supervisorctl]\nserverurl=unix:///run/supervisor.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        # startsecs=0: its own second of waiting whether a process stays is not held against it.
        programs = (
            f"[program:{name}]\ncommand=/bin/sh /bench/service {name}\nautorestart=true\nstartsecs=0\n"
            "stdout_logfile=/var/log/supervisor/%(program_name)s.log\nredirect_stderr=true\n"
            for name in self._names
        )
        self._put("supervisord.conf", head + "".join(programs))

    def _put(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)


@contextmanager
def side_by_side(bench: Bench, count: int) -> Iterator[dict[str, "Contender"]]:
    """Start all three with `count` services; they take turns, so that what else the machine does meets all of them."""
    with ExitStack() as stack:
        every = {name: stack.enter_context(bench.container(name, count)) for name in CONTENDERS}
        time.sleep(SETTLE_SECONDS)
        yield every


def wait_until_quiet() -> None:
    """Return when the machine does little else, or after QUIET_WAIT_SECONDS: what it does then meets all in turn."""
    deadline = time.monotonic() + QUIET_WAIT_SECONDS
    while time.monotonic() < deadline:
        before = idle_ticks()
        time.sleep(0.3)
        after = idle_ticks()
        if (after[0] - before[0]) >= QUIET_SHARE * (after[1] - before[1]):
            return


def idle_ticks() -> tuple[int, int]:
    """Return the time that all processors together were idle, and all time (proc_stat(5))."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)


def turns(every: Mapping[str, "Contender"], task: str, rounds: int, number: Callable[[int], int]) -> dict[str, Any]:
    """Let each in turn do a task, `rounds` times; return what they found, joined."""
    found: dict[str, Any] = {}
    for turn in range(rounds):
        for name, one in every.items():
            wait_until_quiet()
            found[name] = joined(found.get(name), one.task(task, number(turn)))
    return found


def joined(before: Any, more: Any) -> Any:
    """Return lists joined, also those in a mapping."""
    if before is None:
        return more
    if isinstance(more, dict):
        return {key: before[key] + more[key] for key in more}
    return before + more


def many(bench: Bench) -> dict[str, dict[str, Any]]:
    """Boot with many services, restart some, stop and start all."""
    boots: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(BOOTS - 1):
        for name in CONTENDERS:
            wait_until_quiet()
            with bench.container(name, MANY) as one:
                boots[name].append(one.boot_seconds)
    with side_by_side(bench, MANY) as every:
        restarts = turns(every, "restarts", RESTARTS // 10, lambda turn: turn)
        cycles = turns(every, "cycles", CYCLES, lambda _: 1)
        return {
            name: {"boots": [*boots[name], one.boot_seconds], "restarts": restarts[name], "cycles": cycles[name]}
            for name, one in every.items()
        }


def few(bench: Bench) -> dict[str, dict[str, Any]]:
    """The memory for few services, their status, their stop, and a storm of orphans."""
    with side_by_side(bench, FEW) as every:
        memory = {name: one.task("memory") for name, one in every.items()}
        status = turns(every, "status", STATUS_ROUNDS // 10, lambda _: 10)
        cycles = turns(every, "cycles", CYCLES, lambda _: 1)
        orphans = {}
        for name, one in every.items():
            wait_until_quiet()
            orphans[name] = one.task("orphans", ORPHANS)
        return {
            name: {"memory": memory[name], "status": status[name], "cycles": cycles[name], "orphans": orphans[name]}
            for name in CONTENDERS
        }


def most(bench: Bench) -> dict[str, dict[str, Any]]:
    """The memory for very many services."""
    with side_by_side(bench, MOST) as every:
        return {name: {"memory": one.task("memory")} for name, one in every.items()}


def idle(bench: Bench) -> dict[str, Any]:
    """All of them at once, since none should be doing anything: wake-ups; dmsinit also with health probes."""
    found: dict[str, Any] = {}
    with (
        bench.container("dmsinit", FEW) as dmsinit,
        bench.container("dmsinit", FEW, probes=True) as probing,
        bench.container("supervisord", FEW) as supervisord,
        bench.container("s6", FEW) as s6,
        ThreadPoolExecutor() as pool,
    ):
        probing.task("spread_out")
        time.sleep(SETTLE_SECONDS)
        every = {"dmsinit": dmsinit, "probing": probing, "supervisord": supervisord, "s6": s6}
        tasks = {name: pool.submit(one.task, "idle", IDLE_SECONDS) for name, one in every.items()}
        found = {name: task.result() for name, task in tasks.items()}
    return found


def real(bench: Bench) -> dict[str, Any]:
    """The daemons of the image, also those that have to be switched on."""
    switches = [f"--env=ENABLE_{name}=1" for name in SWITCHES]
    with tempfile.TemporaryDirectory(prefix="dmsinit-bench-") as folder:
        Path(folder, "postfix-accounts.cf").write_text(account(f"anna@{DOMAIN}"))
        signatures = Path(folder, "bench.hdb")
        signatures.write_text(f"{1:032x}:1:Bench\n")
        signatures.chmod(0o644)
        name = f"dmsinit-bench-{os.getpid()}-daemons"
        try:
            bench.containers.checked(
                "run", "--detach", "--name", name, "--no-healthcheck", "--network=bridge", "--hostname", HOSTNAME,
                "--cap-add=NET_ADMIN", "--volume", f"{folder}:/tmp/docker-mailserver", "--volume",
                f"{HERE}:/opt/bench:ro", "--volume", f"{signatures}:/var/lib/clamav/bench.hdb:ro", *switches,
                BENCH_IMAGE,
            )  # fmt: skip
            with bench.containers.follow(name) as log:
                assert log.stdout is not None
                assert any(UP in line for line in log.stdout)
                log.kill()
            wait_until_quiet()
            return {
                "daemons": bench.inside(name, "supervisor_daemons.py", "daemons", DAEMON_ROUNDS),
                "opendkim": bench.inside(name, "supervisor_daemons.py", "opendkim", DAEMON_ROUNDS),
            }
        finally:
            bench.containers.remove(name)


def measure(bench: Bench) -> dict[str, Any]:
    """Run everything; what is idle most of the time runs side by side, the rest alone."""

    def step(text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)

    step(f"{FEW} services under each")
    small = few(bench)
    step(f"{MANY} services under each (this takes minutes: two of the three wait a second at each restart)")
    large = many(bench)
    step(f"{MOST} services under each")
    largest = most(bench)
    found: dict[str, Any] = {
        name: {"few": small[name], "many": large[name], "most": largest[name]} for name in CONTENDERS
    }
    step(f"nothing to do, for {IDLE_SECONDS} s")
    found["idle"] = idle(bench)
    step("the daemons of the image")
    found["real"] = real(bench)
    return found


def machine() -> Mapping[str, str]:
    """Return what a reader has to know about where this ran."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        os.uname().machine,
    )
    return {"processor": f"{os.cpu_count()} × {model}", "kernel": f"Linux {os.uname().release.split('-')[0]}"}


def main(arguments: list[str]) -> int:
    """Measure, or with the name of a file read what was measured before; report."""
    if arguments:
        found = json.loads(Path(arguments[0]).read_text())
    else:
        bench = Bench()
        try:
            figures = measure(bench)
        finally:
            bench.containers.remove_all()
        found = {**figures, "machine": machine(), "date": time.strftime("%Y-%m-%d")}
        cache = ROOT / ".cache/bench-supervisor.json"
        cache.parent.mkdir(exist_ok=True)
        cache.write_text(json.dumps(found))
    rows = report.rows(found)
    print(report.text(rows))
    report.write(rows, found, ROOT / "docs/explanation")
    print("\nWritten: docs/explanation/supervision-benchmark.md and its plot")
    missed = [row.what for row in rows if row.met is False]
    for what in missed:
        print(f"Missed: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.TimeoutExpired as error:
        sys.exit(f"cannot finish the benchmark: {error}")
