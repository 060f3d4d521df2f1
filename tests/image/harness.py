"""Containers of the built image for tests: started, asked over real ports, read, and always removed.

A `Server` is a running container. Waiting is by events: a line of the log by following it, a message by IMAP IDLE.
"""

import imaplib
import json
import os
import smtplib
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE: Final = os.environ.get("DMS_IMAGE", "localhost/dmsinit:latest")
HOSTNAME: Final = "mail.example.test"
DOMAIN: Final = "example.test"
CONFIG: Final = "/tmp/docker-mailserver"

PASSWORD: Final = "correct horse"
HASH: Final = (
    "{SHA512-CRYPT}$6$imagetests$UvVjNG7N1BgDkTwiEP5UB9oMGYnim1ZhASxvqn1uTfY5Nyl4BRFFLw6yKHPX7ce/cJbniwSiuEzTrb1RcX/qv0"
)
UP: Final = "is up and running"
PATIENCE_SECONDS: Final = 240
"""How long anything may take before a test gives up; far above what it takes on a machine that others use too."""


def account(address: str) -> str:
    """Return a line of postfix-accounts.cf; the password is PASSWORD."""
    return f"{address}|{HASH}\n"


@dataclass(frozen=True)
class Result:
    """How a command ended; `output` is its standard output and error in the order they came."""

    code: int
    output: str


class EngineMissing(Exception):
    """There is no container engine; the message says why and what to do."""


class Containers:
    """The engine that tools/engine found, and the containers that were started with it."""

    def __init__(self) -> None:
        tool = str(ROOT / "tools" / "engine")
        found = subprocess.run([tool, "name"], capture_output=True, text=True)
        if found.returncode:
            raise EngineMissing(found.stderr.strip())
        name = found.stdout.strip()
        pairs = subprocess.run([tool, "env"], capture_output=True, text=True, check=True).stdout.split()
        self._engine = name
        self._environ = {**os.environ, **dict(pair.split("=", 1) for pair in pairs)}
        self._names: list[str] = []
        # podman's monitor of a command in a container leaves a file where it was started when memory runs out.
        self._folder = tempfile.TemporaryDirectory(prefix="dmsinit-containers-")

    def call(self, *arguments: str, stdin: str | None = None, timeout: float = PATIENCE_SECONDS + 60) -> Result:
        """Run a command of the engine; what waits inside gives up first, and says for what it waited."""
        done = subprocess.run(
            [self._engine, *arguments], env=self._environ, cwd=self._folder.name, timeout=timeout,
            text=True, errors="replace",
            stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Result(done.returncode, done.stdout)

    def checked(self, *arguments: str) -> str:
        """Return the output of a command of the engine that must succeed."""
        result = self.call(*arguments)
        assert result.code == 0, f"{self._engine} {' '.join(arguments)}\n{result.output}"
        return result.output

    def follow(self, name: str) -> "subprocess.Popen[str]":
        """Return a process whose standard output is the log of a container, from its beginning to its end."""
        return subprocess.Popen(
            [self._engine, "logs", "--follow", name], env=self._environ, cwd=self._folder.name,
            text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def command(
        self, *command: str, config: Path | None = None, options: Sequence[str] = (), stdin: str | None = None
    ) -> Result:
        """Run one command in a container of its own (`docker run --rm IMAGE COMMAND`)."""
        mount = ["--volume", f"{config}:{CONFIG}"] if config else []
        interactive = ["--interactive"] if stdin is not None else []
        arguments = ["run", "--rm", "--no-healthcheck", "--network=bridge", *interactive, *mount, *options]
        return self.call(*arguments, IMAGE, *command, stdin=stdin)

    def start(
        self,
        files: Mapping[str, str],
        config: Path,
        *,
        environment: Mapping[str, str] | None = None,
        hostname: str = HOSTNAME,
        capabilities: Sequence[str] = ("NET_ADMIN",),
        options: Sequence[str] = (),
    ) -> "Server":
        """Start a server whose config volume holds `files` (name → text); it is not up yet when this returns."""
        for path, text in files.items():
            target = config / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        name = self.new_name()
        rights = [f"--cap-add={capability}" for capability in capabilities]
        settings = [option for item in (environment or {}).items() for option in ("--env", "=".join(item))]
        self.checked(
            "run", "--detach", "--name", name, "--no-healthcheck", "--network=bridge", "--hostname", hostname,
            *rights, "--stop-timeout=60", "--volume", f"{config}:{CONFIG}", *settings, *options, IMAGE,
        )  # fmt: skip
        return Server(self, name, config)

    def new_name(self) -> str:
        """Return a name for a container that is removed at the end, whatever happens."""
        self._names.append(f"dmsinit-test-{os.getpid()}-{len(self._names)}")
        return self._names[-1]

    def remove(self, name: str) -> None:
        self.call("rm", "--force", "--time=0" if self._engine == "podman" else "--volumes", name)

    def remove_all(self) -> None:
        for name in self._names:
            self.remove(name)
        self._folder.cleanup()


@dataclass
class Server:
    """One container that runs (or ran) dmsinit; `config` is its config volume on this side."""

    containers: Containers
    name: str
    config: Path
    boot_seconds: float = field(default=0.0, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)
    _address: str = field(default="", init=False)

    # --- the container

    def run(self, *command: str, stdin: str | None = None) -> Result:
        """Run a command inside (`docker exec`)."""
        interactive = ["--interactive"] if stdin is not None else []
        return self.containers.call("exec", *interactive, self.name, *command, stdin=stdin)

    def checked(self, *command: str) -> str:
        """Return the output of a command that must succeed inside."""
        result = self.run(*command)
        assert result.code == 0, f"{' '.join(command)} ended with {result.code}:\n{result.output}"
        return result.output

    def json(self, *command: str) -> Any:
        return json.loads(self.checked(*command))

    def log(self) -> str:
        return self.containers.checked("logs", self.name)

    def mail_log(self) -> str:
        return self.checked("cat", "/var/log/mail/mail.log")

    def wait_for_line(self, path: str, pattern: str) -> None:
        """Wait until a line of a log file inside matches `pattern` (grep -E); lines of the past count too."""
        wait = f'timeout {PATIENCE_SECONDS} grep -E -q -m1 -e "$2" <(tail -n +1 -F "$1" 2> /dev/null)'
        result = self.run("bash", "-c", wait, "wait", path, pattern)
        assert result.code == 0, f"no line of {path} matches {pattern}:\n{self.checked('cat', path)}"

    def until(self, condition: str) -> None:
        """Wait until a shell condition holds inside, where no event tells of it."""
        self.checked("timeout", str(PATIENCE_SECONDS), "bash", "-c", f"until {condition}; do sleep 0.1; done")

    def until_restarted(self, service: str, restarts: int) -> None:
        """Wait until a service is ready after so many restarts."""
        status = f"dmsctl status {service} --json"
        counted, ready = f'"restarts": *{restarts}\\b', '"state": *"ready"'
        self.until(f"{status} | grep -q '{counted}' && {status} | grep -q '{ready}'")

    def wait_for_log(self, text: str, count: int = 1) -> str:
        """Return the log up to the line that is the `count`th with `text`; fail when the container ends first."""
        lines: list[str] = []
        with self.containers.follow(self.name) as follower:
            watchdog = threading.Timer(PATIENCE_SECONDS, follower.kill)
            watchdog.start()
            try:
                assert follower.stdout is not None
                for line in follower.stdout:
                    lines.append(line)
                    count -= text in line
                    if count <= 0:
                        return "".join(lines)
            finally:
                watchdog.cancel()
                follower.kill()
        raise AssertionError(f"{text!r} is not in the log of {self.name}:\n{''.join(lines)}")

    def wait_until_up(self, count: int = 1) -> "Server":
        """Wait for the line that says so (the `count`th, after restarts); after `start` this sets boot_seconds."""
        self.wait_for_log(UP, count)
        self.boot_seconds = time.monotonic() - self._began
        return self

    def wait_for_end(self) -> int:
        """Wait until the container ends by itself and return its exit code."""
        return int(self.containers.checked("wait", self.name).split()[-1])

    def kill(self) -> None:
        """Kill all its processes, and return when they are gone: until then a start would do nothing."""
        self.containers.checked("kill", "--signal=KILL", self.name)
        self.wait_for_end()

    def exit_code(self) -> int:
        return int(self.containers.checked("inspect", "--format", "{{.State.ExitCode}}", self.name))

    def stop(self) -> float:
        """Stop the container as `docker stop` does and return the seconds that took."""
        began = time.monotonic()
        self.containers.checked("stop", self.name)
        return time.monotonic() - began

    def remove(self) -> None:
        self.containers.remove(self.name)

    @property
    def address(self) -> str:
        """The container's address on the bridge (asked again after a restart)."""
        if not self._address:
            template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
            self._address = self.containers.checked("inspect", "--format", template, self.name).split()[0]
        return self._address

    def restart(self) -> None:
        self.containers.checked("restart", self.name)
        self._address = ""

    # --- its services

    def services(self) -> dict[str, dict[str, Any]]:
        return {service["name"]: service for service in self.json("dmsctl", "status", "--json")["services"]}

    def pids(self) -> dict[str, int | None]:
        return {name: service["pid"] for name, service in self.services().items()}

    # --- mail

    @contextmanager
    def smtp(self, port: int = 25, *, starttls: bool = False, login: str = "") -> Iterator[smtplib.SMTP]:
        """Connect to a port that speaks SMTP; 465 is TLS from the first byte. The name given is a client's."""
        place = (self.address, port, "client.example.test")
        with (
            smtplib.SMTP_SSL(*place, timeout=PATIENCE_SECONDS, context=untrusting())
            if port == 465
            else smtplib.SMTP(*place, timeout=PATIENCE_SECONDS)
        ) as smtp:
            smtp.ehlo()
            if starttls or (login and port == 587):
                smtp.starttls(context=untrusting())
                smtp.ehlo()
            if login:
                smtp.login(login, PASSWORD)
            yield smtp

    @contextmanager
    def imap(self, user: str, password: str = PASSWORD) -> Iterator[imaplib.IMAP4]:
        """Log in to IMAP over TLS."""
        imap = imaplib.IMAP4_SSL(self.address, 993, ssl_context=untrusting(), timeout=PATIENCE_SECONDS)
        try:
            imap.login(user, password)
            yield imap
        except BaseException:
            imap.shutdown()
            raise
        imap.logout()

    def send(self, recipient: str, subject: str, *, port: int = 25, login: str = "", sender: str = "") -> EmailMessage:
        """Send a small message, from outside with an empty envelope sender (as bounces have) unless told otherwise."""
        message = letter(recipient, subject, login or f"outside@{DOMAIN}")
        with self.smtp(port, login=login) as smtp:
            smtp.sendmail(sender or login, [recipient], message.as_bytes())
        return message

    def receive(self, user: str, subject: str, mailbox: str = "INBOX") -> EmailMessage:
        """Wait for a message with that subject in a mailbox and return it."""
        with self.imap(user) as imap:
            code, said = imap.select(mailbox)
            assert code == "OK", f"cannot select {mailbox}: {said}; mail.log:\n{self.mail_log()}"
            imap.response("EXISTS")
            while not (found := imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()):
                if imap.response("EXISTS")[1] != [None]:
                    continue  # it came while the server searched
                try:
                    wait_for_message(imap)
                except TimeoutError:
                    raise AssertionError(f"no {subject!r} for {user}; mail.log:\n{self.mail_log()}") from None
            _, parts = imap.fetch(found[-1], "(RFC822)")
            assert isinstance(parts[0], tuple)
            return BytesParser(EmailMessage, policy=default).parsebytes(parts[0][1])


def letter(recipient: str, subject: str, author: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = author, recipient, subject
    message["Message-ID"] = f"<{subject.replace(' ', '.')}@client.example.test>"
    message.set_content(f"This is {subject}.\n")
    return message


def wait_for_message(imap: imaplib.IMAP4) -> None:
    """Return when a message came into the selected mailbox (IDLE, RFC 2177; the socket's timeout ends the waiting)."""
    imap.send(b"W1 IDLE\r\n")
    while b"EXISTS" not in (line := imap.readline()):
        assert line, "the server closed the connection"
        assert not line.startswith(b"W1"), f"IDLE ended: {line!r}"
    imap.send(b"DONE\r\n")
    while not imap.readline().startswith(b"W1 "):
        pass


def untrusting() -> ssl.SSLContext:
    """Return a TLS context that encrypts and does not verify."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
