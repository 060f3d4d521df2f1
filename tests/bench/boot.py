"""How long a boot takes and how much of that is needed: `make bench-boot` [ROUNDS].

Prints the median over some boots of the built image in its default set-up (one account, SSL_TYPE empty). Ends with 1
when a boot costs more than 1.3 × its critical path: rendering and the longest chain of the daemons' own start-up times.
"""

import re
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from tests.image.harness import DOMAIN, Containers, Server, account

ALLOWED: Final = 1.3


def main(rounds: int) -> int:
    containers = Containers()
    rows: list[dict[str, float]] = []
    try:
        for number in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}")}
                rows.append(measure(containers.start(files, Path(folder)).wait_until_up()))
            print(f"  boot {number + 1} of {rounds}: {rows[-1]['run to up (s)']:.2f} s", file=sys.stderr, flush=True)
    finally:
        containers.remove_all()
    middle = {name: median(row[name] for row in rows) for name in rows[0]}
    for name, value in middle.items():
        print(f"{name:32} {value:8.2f}")
    ratio = middle["boot / critical path"]
    print(f"\nA boot costs {ratio:.2f} × its critical path; {ALLOWED} is allowed.")
    return 0 if ratio <= ALLOWED else 1


def measure(server: Server) -> dict[str, float]:
    """Return the figures of one boot and remove the container."""
    blame = server.json("dmsctl", "blame", "--json")
    rss = re.search(r"VmRSS:\s+(\d+) kB", server.checked("cat", "/proc/1/status"))
    assert rss
    figures = {
        "run to up (s)": server.boot_seconds,
        "PID 1 to up (s)": blame["total_seconds"],
        "critical path (s)": blame["critical_seconds"],
        "boot / critical path": blame["total_seconds"] / blame["critical_seconds"],
        "RSS of PID 1 (MiB)": int(rss[1]) / 1024,
        "stop (s)": server.stop(),
    }
    server.remove()
    return figures


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
