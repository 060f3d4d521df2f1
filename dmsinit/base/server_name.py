"""The server's own name, as its administrator gave it or as the host has it."""

import os
import subprocess

from dmsinit.base.literal import clean


class NoDomain(Exception):
    """The server has no fully qualified name; the message says which it has."""


def full_name(given: str) -> str:
    """Return the server's name: as given, or as the server itself finds it. Raises NoDomain."""
    name = given or clean(os.environ.get("OVERRIDE_HOSTNAME", "")).text or _hostname()
    if "." not in name.strip("."):
        raise NoDomain(f"{name!r} has no domain")
    return name.strip().rstrip(".").lower()


def _hostname() -> str:
    done = subprocess.run(["hostname", "-f"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or os.uname().nodename
