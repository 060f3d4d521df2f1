"""How long `setup` takes until its change is in force, and until all accounts are listed; with 10 and 10,000 accounts.

`make bench-setup`. `setup email add` is timed from its start inside the container until a login over IMAP with the new
account has worked; the median of seven. The listing is timed as a process: the first one, which measures every mailbox
that holds mail, and the next.
"""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.image.harness import DOMAIN, HASH, Containers, Server

ROUNDS: Final = 7
AIMS: Final = {10: 0.6, 10_000: 1.2}
"""Seconds from `setup email add` to a login that works."""
LISTING_AIM: Final = 1.0
"""Seconds for `setup email list` with 10,000 accounts."""

TIME_ADD: Final = r"""
import imaplib, subprocess, sys, time
imaplib.IMAP4("127.0.0.1", 143).logout()
for number in range(int(sys.argv[1])):
    name = f"bench{number}@example.test"
    began = time.monotonic()
    subprocess.run(["setup", "email", "add", name, "secret"], check=True, stderr=subprocess.DEVNULL)
    changed = time.monotonic()
    imap = imaplib.IMAP4("127.0.0.1", 143)
    imap.login(name, "secret")
    print(changed - began, time.monotonic() - began)
    imap.logout()
    time.sleep(1)
"""
TIME_LIST: Final = r"""
import subprocess, time
for _ in range(2):
    began = time.monotonic()
    subprocess.run(["setup", "email", "list"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(time.monotonic() - began)
"""


def measure(containers: Containers, accounts: int) -> tuple[float, float, float, float]:
    """Return seconds: setup alone, until the login, the first listing, the next."""
    with tempfile.TemporaryDirectory() as directory:
        text = "".join(f"user{number}@d{number % 20}.{DOMAIN}|{HASH}\n" for number in range(accounts))
        server: Server = containers.start({"postfix-accounts.cf": text}, Path(directory))
        try:
            server.wait_until_up()
            rows = [line.split() for line in _python(server, TIME_ADD, str(ROUNDS))]
            first, then = (float(line) for line in _python(server, TIME_LIST))
            done, logged_in = (statistics.median(float(row[column]) for row in rows) for column in (0, 1))
            return done, logged_in, first, then
        finally:
            server.remove()


def _python(server: Server, program: str, *arguments: str) -> list[str]:
    return server.checked("python3", "-c", program, *arguments).splitlines()


def main() -> int:
    """Print the table; 1 when an aim is missed."""
    containers, missed = Containers(), False
    print("accounts  setup email add  until login (aim)  email list: first, next (aim)")
    try:
        for accounts, aim in AIMS.items():
            done, logged_in, first, then = measure(containers, accounts)
            print(
                f"{accounts:8,}  {done:13.2f} s  {logged_in:9.2f} s ({aim:.1f})"
                f"  {first:14.2f} s, {then:.2f} s ({LISTING_AIM:.0f})"
            )
            missed |= logged_in > aim or then > LISTING_AIM
    finally:
        containers.remove_all()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
