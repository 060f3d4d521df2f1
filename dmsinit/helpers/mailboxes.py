"""Makes the mailboxes that a start has left, as the vmail user: `python3 -m dmsinit.helpers.mailboxes [/home]`.

Which there are is said by Postfix' table of mailboxes, which everybody can read. The argument is where the home is
below a mailbox. exit: 0 all are there, 1 some cannot be made (the first of each domain is named)
"""

import sys
from collections.abc import Iterable
from typing import Final

from dmsinit.volume.mailbox import make_mailbox

TABLE: Final = "/etc/postfix/vmailbox"
MAIL: Final = "/var/mail"


def make(lines: Iterable[str], below: str, mail: str = MAIL) -> tuple[int, dict[str, OSError]]:
    """Make what is missing for each line `ADDRESS DOMAIN/USER/`; return how many, and each domain's first error."""
    made = 0
    errors: dict[str, OSError] = {}
    for line in lines:
        domain, _, local_part = line.partition(" ")[2].strip().rstrip("/").partition("/")
        if not local_part:
            continue
        try:
            made += make_mailbox(f"{mail}/{domain}", local_part, below)
        except OSError as error:
            errors.setdefault(domain, error)
    return made, errors


def main() -> int:
    """Make them all."""
    with open(TABLE, encoding="utf-8", errors="surrogateescape") as table:
        made, errors = make(table, "".join(sys.argv[1:2]))
    for domain, error in errors.items():
        sys.stdout.write(f"cannot make mailboxes of {domain}: {error.strerror} ({error.filename}); make it writable\n")
    sys.stdout.write(f"{made} mailboxes were made\n")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
