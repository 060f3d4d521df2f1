#!/usr/bin/env python3
"""Find or make a container engine, and use it: `tools/engine image`, `tools/engine ps`, `tools/engine run …`.

Docker is used if it answers; else podman, which tools/host installs where it can (Debian, as root). Nothing is ever
asked and no configuration of this machine is changed: podman gets its settings from a file of ours (CONTAINERS_CONF).

    engine image         build the image and tag it localhost/dmsinit:latest
    engine name          print which engine is used (docker or podman)
    engine env           print the environment that makes that engine work, as NAME=value lines
    engine ANYTHING …    that command of the engine, for example `engine logs -f dmsinit-demo`

Exit codes: that of the engine; 1 with one sentence when there is no engine or the image cannot be built.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = ROOT / ".cache" / "engine"
IMAGE: Final = os.environ.get("DMS_IMAGE", "localhost/dmsinit:latest")
BASE: Final = "docker.io/library/debian:13-slim"
MIRROR: Final = os.environ.get("DMS_DEBIAN_MIRROR", "http://deb.debian.org")

PULL_SECONDS: Final = 60
"""How long docker.io may take for the base image (30 MB) before it is made from Debian's mirror instead."""

SLIM: Final = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/lintian/*",
)
"""What the slim variant of Debian's image leaves out."""


class EngineError(Exception):
    """There is no engine, or it did not do what was asked; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """A container engine that answers: its command and what its environment needs."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    @property
    def run_options(self) -> list[str]:
        """Return what `run` needs here: podman leaves health checks to systemd and complains where there is none."""
        without_systemd = self.name == "podman" and not Path("/run/systemd/private").exists()
        return ["--no-healthcheck"] if without_systemd else []

    def succeeds(self, *arguments: str, timeout: float | None = None) -> bool:
        """Return whether a command ends with 0 within `timeout` seconds; its output is dropped."""
        return succeeds(self.name, *arguments, env=self.environ, timeout=timeout)

    def output(self, *arguments: str) -> str:
        """Return the standard output of a command that must succeed."""
        result = subprocess.run(
            [self.name, *arguments], env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if result.returncode:
            raise EngineError(f"cannot do `{self.name} {' '.join(arguments[:2])} …`: {result.stderr.strip()}")
        return result.stdout


def say(text: str) -> None:
    print(f"engine: {text}", file=sys.stderr, flush=True)


def succeeds(*command: str, env: dict[str, str] | None = None, timeout: float | None = None) -> bool:
    try:
        result = subprocess.run(command, env=env, timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


# --- which engine


def find() -> Engine:
    """Return Docker if its daemon answers, else podman, installing it if need be."""
    if succeeds("docker", "info", timeout=10):
        return Engine("docker")
    have("podman")
    if os.geteuid() == 0 and shutil.which("apt-get"):
        have("network")  # elsewhere podman's package brings what it needs
    return Engine("podman", podman_environment())


def podman_environment() -> dict[str, str]:
    """Return the settings for root's podman.

    runc instead of crun, which refuses the cgroup v1 and v2 hybrid of some hosts; limits within the host's own, because
    podman's default of a million descriptors cannot be granted where even root may not raise them.
    """
    if os.geteuid() != 0 or not shutil.which("runc"):
        return {}
    nofile, nproc = (
        min(20000, hard) if (hard := resource.getrlimit(kind)[1]) >= 0 else 20000
        for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    )
    path = CACHE / "containers.conf"
    text = (
        "# Written by tools/engine; used through CONTAINERS_CONF, so that the system's own file stays as it is.\n"
        '[engine]\nruntime = "runc"\n'
        f'[containers]\ndefault_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]\n'
    )
    if not path.exists() or path.read_text() != text:
        CACHE.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"CONTAINERS_CONF": str(path), "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}


def have(purpose: str) -> None:
    """Have what tools/host-packages lists for that purpose, or end after tools/host's sentence that names it."""
    if subprocess.run([ROOT / "tools" / "host", purpose], stdin=subprocess.DEVNULL).returncode:
        sys.exit(1)


# --- the image


def build_image(engine: Engine) -> None:
    """Build IMAGE from the Dockerfile; what did not change comes from the engine's cache."""
    ensure_base(engine)
    command = [engine.name, "build", "--network=host", "--tag", IMAGE, "--file", "Dockerfile"]
    if engine.name == "podman":
        command.append("--format=docker")  # the OCI format has no HEALTHCHECK
    if release := os.environ.get("DMS_RELEASE"):
        command.append(f"--build-arg=DMS_RELEASE={release}")
    before = image_id(engine)
    show(f"building {IMAGE} with {engine.name}", [*command, "."], engine.environ)
    if before and before != image_id(engine):
        engine.succeeds("image", "rm", before)  # nobody's now, unless a container still runs from it


def image_id(engine: Engine) -> str:
    """Return the id of IMAGE, or "" when there is none."""
    if not engine.succeeds("image", "inspect", IMAGE):
        return ""
    return engine.output("image", "inspect", "--format", "{{.Id}}", IMAGE).strip()


def ensure_base(engine: Engine) -> None:
    """Have the base image here: from docker.io, else made of Debian's packages."""
    if engine.succeeds("image", "inspect", BASE):
        return
    say(f"fetching {BASE}")
    if engine.succeeds("pull", BASE, timeout=PULL_SECONDS):
        return
    say("docker.io cannot be reached; making the base image from Debian's mirror instead")
    have("base")
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / "base.tar"
    command = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates"]
    command += [f"--dpkgopt=path-exclude={path}" for path in SLIM]
    command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", "trixie", str(archive)]
    command += [
        f"deb {MIRROR}/debian trixie main",
        f"deb {MIRROR}/debian trixie-updates main",
        f"deb {MIRROR}/debian-security trixie-security main",
    ]
    show("making a Debian 13 root file system", command, dict(os.environ))
    show("importing it", [engine.name, "import", str(archive), BASE], engine.environ)
    archive.unlink()


# --- progress


def show(what: str, command: list[str], environ: dict[str, str]) -> None:
    """Run a long command and show that it gets on; if it fails, raise EngineError after the last lines of its output.

    On a terminal one line shows the latest output; elsewhere each step of a build is a line of its own.
    """
    say(what)
    began = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    log_path = CACHE / "last.log"
    lines: list[str] = []
    with (
        log_path.open("w") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=environ, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            lines.append(line.rstrip())
            show_line(lines[-1], time.monotonic() - began)
    clear_line()
    if process.returncode:
        print("\n".join(lines[-40:]), file=sys.stderr)
        raise EngineError(f"cannot finish {what}: {command[0]} ended with {process.returncode}; all output: {log_path}")
    say(f"done in {time.monotonic() - began:.1f} s")


def show_line(line: str, seconds: float) -> None:
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        text = f"  {seconds:4.0f} s  {line}".expandtabs()[:width]
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif re.match(r"(STEP|#\d+ \[)", line):
        say(f"  {line[:110]}")


def clear_line() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if arguments else 2
    engine = find()
    match arguments:
        case ["image"]:
            build_image(engine)
        case ["name"]:
            print(engine.name)
        case ["env"]:
            print("\n".join(f"{name}={value}" for name, value in engine.environment.items()))
        case [command, *rest]:
            options = engine.run_options if command == "run" else []
            os.execvpe(engine.name, [engine.name, command, *options, *rest], engine.environ)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EngineError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
