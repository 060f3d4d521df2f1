"""Bans, as the health check of Fail2ban (dmsinit.helpers.bans) has counted them last; 0 where it runs no check."""

from collections.abc import Sequence
from typing import Final

import msgspec

from dmsinit.metrics._prometheus import Metric
from dmsinit.metrics.families import counter, gauge

STATE: Final = "/run/dmsinit/bans"
"""In the container's memory: reading it waits for nothing."""


class Bans(msgspec.Struct):
    """What the file holds."""

    banned: int
    missing: list[str]
    restored: int


def families(path: str = STATE) -> Sequence[Metric]:
    """Return how many bans there are, how many of them the kernel does not have, and how many were set again."""
    try:
        with open(path, "rb") as file:
            found = msgspec.json.decode(file.read(), type=Bans)
    except (OSError, msgspec.DecodeError):
        found = Bans(banned=0, missing=[], restored=0)
    missing = "Bans that Fail2ban lists and the kernel has no rule for."
    restored = "Bans that the kernel had lost and that were set again."
    return [
        gauge("dms_bans", "Addresses that Fail2ban has banned.", found.banned),
        gauge("dms_bans_missing", missing, len(found.missing)),
        counter("dms_bans_restored", restored, found.restored),
    ]
