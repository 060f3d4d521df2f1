"""Which capabilities(7) this process needs as root of a container and does not have: an engine's `--cap-drop`."""

from pathlib import Path
from typing import Final

NEEDED: Final = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "SETGID": 6, "SETUID": 7}
"""What it takes to give files to daemons and to start these as their users, and the numbers in capabilities(7)."""


def missing(status: Path = Path("/proc/self/status")) -> list[str]:
    """Return the names of those that are not effective; an empty list where the kernel does not say."""
    try:
        lines = status.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    mask = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), -1)
    return [name for name, number in NEEDED.items() if not mask >> number & 1]


def remedy() -> str:
    """Return what helps where something is not permitted: the capabilities to add, or "" if none is missing."""
    names = missing()
    if not names:
        return ""
    noun = "capability" if len(names) == 1 else "capabilities"
    return f"give the container the {noun} {', '.join(names)} (cap_add or cap_drop in compose.yaml)"
