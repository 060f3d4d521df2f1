"""The config volume as a domain model: accounts, aliases, quotas, restrictions, relays, master users."""

from dmsinit.volume.model import (
    AccessRule,
    Account,
    Alias,
    Dummy,
    Master,
    RelayRoute,
    SaslPassword,
    Volume,
    alias_dummies,
)
from dmsinit.volume.reader import read

__all__ = [
    "AccessRule",
    "Account",
    "Alias",
    "Dummy",
    "Master",
    "RelayRoute",
    "SaslPassword",
    "Volume",
    "alias_dummies",
    "read",
]
