"""Sessions of users who are logged in to Dovecot: IMAP, POP3, ManageSieve.

Those of submission are Postfix', which has no way to end one: they live until their clients end them, or say nothing
for five minutes (smtpd_timeout).
"""

import subprocess
import time
from collections.abc import Iterable
from typing import Final

from dmsinit.volume.names import is_login

_SETTLE_SECONDS: Final = 5.0
"""A session that is told to end finishes its command first."""
_PAUSE_SECONDS: Final = 0.05


def end_sessions(addresses: Iterable[str]) -> None:
    """Disconnect users, and return when their sessions are over. Without Dovecot there are none.

    Only valid logins are passed on: doveadm would read other names as patterns.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    for address in filter(is_login, addresses):
        try:
            _doveadm("kick", "--", address)
            while _is_logged_in(address) and time.monotonic() < deadline:
                time.sleep(_PAUSE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return  # Dovecot does not run: there are no sessions


def _is_logged_in(address: str) -> bool:
    return len(_doveadm("-f", "tab", "who", "-1", "--", address).splitlines()) > 1  # the first line is the head


def _doveadm(*words: str) -> str:
    command = ["doveadm", *words]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_SETTLE_SECONDS
    )
    return done.stdout
