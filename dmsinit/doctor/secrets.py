"""Files of the config volume that hold secrets, and that every process in the container can read."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SECRETS: Final = (
    "postfix-accounts.cf",
    "dovecot-masters.cf",
    "postfix-sasl-password.cf",
    "fetchmail.cf",
    "getmail/*.cf",
    "opendkim/keys/*/*.private",
    "rspamd/dkim/*.private.txt",
    "ssl/*key*.pem",
)
"""What holds passwords, their hashes, or private keys; patterns below the config volume."""


def exposed(config: Path) -> Iterator[str]:
    """Yield the paths of those that any user can read, below `config`, which any user may enter."""
    for pattern in _SECRETS:
        for path in sorted(config.glob(pattern)):
            try:
                above = [one.stat().st_mode for one in path.parents if one != config and config in one.parents]
                mode = path.stat().st_mode
            except OSError:
                continue
            if mode & stat.S_IROTH and all(one & stat.S_IXOTH for one in above):
                yield str(path.relative_to(config))
