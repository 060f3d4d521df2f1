"""Programs of others that a render needs: started early, several at once, waited for when their answer is needed."""

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

TIMEOUT_SECONDS: Final = 60.0
"""None of them takes a second; one that hangs must not hold up the boot for ever."""

_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Outcome:
    """How a program ended: `code` as a shell counts (128 + signal), and what it wrote."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The last line of its standard error, or its exit code when it said nothing."""
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else f"exit code {self.code}"


class Job:
    """A started program."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self._error = ""
        self._process: subprocess.Popen[str] | None = None
        try:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            self._error = f"cannot start {self.argv[0]}: {error.strerror}"

    def wait(self) -> Outcome:
        """Return the outcome; a program that cannot be started (127) or takes too long (124) has one too."""
        if self._process is None:
            return Outcome(self.argv, 127, "", self._error)
        try:
            stdout, stderr = self._process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return Outcome(self.argv, 124, "", f"{self.argv[0]} took more than {TIMEOUT_SECONDS:.0f} s")
        code = self._process.returncode
        return Outcome(self.argv, code if code >= 0 else 128 - code, stdout, stderr)


def run(argv: Sequence[str]) -> Outcome:
    """Run one program to its end."""
    return Job(argv).wait()


def run_all(commands: Iterable[Sequence[str]]) -> list[Outcome]:
    """Run several programs at once, and return their outcomes in the same order."""
    jobs = [Job(argv) for argv in commands]
    return [job.wait() for job in jobs]
