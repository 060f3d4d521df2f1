"""Others on the network of a server under test: a name server with the zones of a test, and hosts that speak SMTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.image.harness import IMAGE, PATIENCE_SECONDS, Containers, Result

NAMES_IMAGE: Final = "localhost/dmsinit-test-names:latest"
NAMES_SOURCE: Final = Path(__file__).parent / "names"


class Peer:
    """A running container with an address of its own on the bridge."""

    def __init__(self, containers: Containers, name: str) -> None:
        self._containers = containers
        self.name = name
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        self.address = containers.checked("inspect", "--format", template, name).split()[0]

    @property
    def reverse(self) -> str:
        """Return the address as block lists and reverse zones have it: last number first."""
        return ".".join(reversed(self.address.split(".")))

    def run(self, *command: str, stdin: str | None = None, timeout: float = PATIENCE_SECONDS) -> Result:
        """Run a command on this host."""
        interactive = ["--interactive"] if stdin is not None else []
        return self._containers.call("exec", *interactive, self.name, *command, stdin=stdin, timeout=timeout)

    def python(self, program: str, *arguments: str, timeout: float = PATIENCE_SECONDS) -> str:
        """Return the output of a Python program that runs on this host and must succeed."""
        result = self.run("python3", "-", *arguments, stdin=program, timeout=timeout)
        assert result.code == 0, result.output
        return result.output.strip()


@contextmanager
def peer(containers: Containers, *command: str) -> Iterator[Peer]:
    """Have a host that has all programs of the image and runs none of the daemons."""
    with _running(containers, "--init", IMAGE, *(command or ("sleep", "infinity"))) as host:
        yield host


@contextmanager
def names(containers: Containers, *records: str) -> Iterator[Peer]:
    """Have a name server with these records, as options of dnsmasq(8); no other name exists for it."""
    source = str(NAMES_SOURCE)
    built = containers.call("build", "--quiet", "--network=host", "--tag", NAMES_IMAGE, source, timeout=300)
    assert built.code == 0, built.output
    with _running(containers, NAMES_IMAGE, *(f"--{record}" for record in records)) as server:
        yield server


@contextmanager
def _running(containers: Containers, *arguments: str) -> Iterator[Peer]:
    name = containers.new_name()
    containers.checked("run", "--detach", "--name", name, "--no-healthcheck", "--network=bridge", *arguments)
    try:
        yield Peer(containers, name)
    finally:
        containers.remove(name)


CONNECTS: Final = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])):
        print("accepted")
except TimeoutError:
    print("silence")
except ConnectionRefusedError:
    print("refused")
"""
"""What becomes of a connection to ADDRESS PORT within SECONDS: accepted, refused or silence."""
