"""How fast mail passes: `make bench-mail` [MESSAGES], ours beside bare daemons with Debian's default configuration.

1,000 messages of 5 and of 50 KiB by eight sessions, through (a) no filter, (b) Amavis with SpamAssassin, (c) ClamAV in
addition, (d) Rspamd. Messages per second count from the first transaction to the last delivery; the delay of a message
is from the beginning of its transaction to its delivery, by the mail log. Both servers are containers of the same
image, one after the other; mailboxes are maildirs on both sides; their name server knows no name, and SpamAssassin asks
none. Queues and mailboxes are in memory on both sides: a disk's share hangs on what was deleted there before (ext4
without a journal looks at every inode freed in the last minutes before it takes one).
A run of seconds is repeated, and the median counts. Ends with 1 when ours is slower than 0.95 of theirs.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

from tests.image.harness import DOMAIN, HOSTNAME, IMAGE, UP, Containers, Server, account
from tests.image.peers import Peer, names, peer

ALLOWED: Final = 0.95
SESSIONS: Final = 8
SIZES_KIB: Final = (5, 50)
RECIPIENT: Final = f"bench@{DOMAIN}"
PATIENCE_SECONDS: Final = 3600
SENDER: Final = Path(__file__).with_name("mail_sender.py")
BARE: Final = Path(__file__).with_name("mail_bare.sh")
NO_MILTERS: Final = {"ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0", "ENABLE_POLICYD_SPF": "0"}
"""Debian's default configuration has none of them."""

THEIR_STATE: Final = ("/home", "/var/spool/postfix", "/var/lib/amavis/tmp")
OUR_STATE: Final = ("/var/mail", "/var/mail-state")


@dataclass(frozen=True)
class Variant:
    """What mail passes through: our environment, and what mail_bare.sh calls it."""

    title: str
    bare: str
    environment: Mapping[str, str]
    rounds: int = 1


VARIANTS: Final = (
    Variant("(a) no filter", "none", {"ENABLE_AMAVIS": "0"}, rounds=3),
    Variant("(b) Amavis, SpamAssassin", "spam", {"ENABLE_SPAMASSASSIN": "1"}),
    Variant("(c) ClamAV in addition", "virus", {"ENABLE_SPAMASSASSIN": "1", "ENABLE_CLAMAV": "1"}),
    Variant("(d) Rspamd", "rspamd", {"ENABLE_AMAVIS": "0", "ENABLE_RSPAMD": "1"}, rounds=3),
)


@dataclass(frozen=True)
class Figures:
    """What one run has shown."""

    per_second: float
    p99_seconds: float
    cpu_ms: float
    """Processor time of the container for each message: says the same when others use the machine as well."""


def main(count: int) -> int:
    containers = Containers()
    slow: list[str] = []
    print(f"{'':26}{'messages/s':>26}{'':8}{'p99 delay':>19}{'CPU/message':>19}")
    print(f"{'':26}{'size':>6}{'theirs':>10}{'ours':>10}{'ratio':>8}{'theirs':>9}{'ours':>10}{'theirs':>11}{'ours':>8}")
    try:
        with tempfile.TemporaryDirectory() as folder, peer(containers) as sender, names(containers) as resolver:
            signatures(Path(folder) / "lib-clamav")
            options = ["--dns", resolver.address, "--volume", f"{folder}/lib-clamav:/var/lib/clamav"]
            for variant in VARIANTS:
                theirs: list[list[Figures]] = []
                ours: list[list[Figures]] = []
                for _ in range(variant.rounds):
                    theirs.append(run(bare(containers, variant, options), sender, count))
                    ours.append(run(dressed(containers, variant, options), sender, count))
                for size, them, us in zip(SIZES_KIB, middle(theirs), middle(ours), strict=True):
                    ratio = us.per_second / them.per_second
                    print(
                        f"{variant.title:26}{size:>2} KiB{them.per_second:>10.1f}{us.per_second:>10.1f}{ratio:>8.2f}"
                        f"{them.p99_seconds:>7.2f} s{us.p99_seconds:>8.2f} s{them.cpu_ms:>8.1f} ms{us.cpu_ms:>5.1f} ms",
                        flush=True,
                    )
                    slow += [f"{variant.title} {size} KiB"] if ratio < ALLOWED else []
    finally:
        containers.remove_all()
    print(f"\nSlower than {ALLOWED} of the bare daemons: {', '.join(slow) or 'nothing'}.")
    return 1 if slow else 0


def middle(rounds: Sequence[Sequence[Figures]]) -> list[Figures]:
    """Return the medians over some rounds, for each size."""
    return [
        Figures(*(median(values) for values in zip(*map(astuple, same), strict=True)))
        for same in zip(*rounds, strict=True)
    ]


def signatures(directory: Path) -> None:
    """Write a database of some size for ClamAV."""
    directory.mkdir()
    (directory / "bench.hdb").write_text("".join(f"{n:032x}:{n}:Bench-{n}\n" for n in range(1000, 101_000)))
    directory.chmod(0o755)


@contextmanager
def bare(containers: Containers, variant: Variant, options: Sequence[str]) -> Iterator[tuple[Server, str]]:
    """Have the bare daemons, and the path of their mail log."""
    name = containers.new_name()
    containers.checked(
        "run", "--detach", "--name", name, "--no-healthcheck", "--network=bridge", "--hostname", HOSTNAME,
        "--volume", f"{BARE}:/mail_bare.sh:ro", *in_memory(THEIR_STATE), *options,
        IMAGE, "bash", "/mail_bare.sh", variant.bare,
    )  # fmt: skip
    server = Server(containers, name, BARE)
    server.wait_for_log(UP)
    yield server, "/var/log/mail.log"
    server.remove()


@contextmanager
def dressed(containers: Containers, variant: Variant, options: Sequence[str]) -> Iterator[tuple[Server, str]]:
    """Have our server, and the path of its mail log."""
    environment = {**NO_MILTERS, "PERMIT_DOCKER": "connected-networks", **variant.environment}
    files = {"postfix-accounts.cf": account(RECIPIENT), "spamassassin-rules.cf": "dns_available no\n"}
    with tempfile.TemporaryDirectory() as config:
        server = containers.start(
            files, Path(config), environment=environment, options=[*in_memory(OUR_STATE), *options]
        )
        server.wait_until_up()
        yield server, "/var/log/mail/mail.log"
        server.remove()


def in_memory(directories: Sequence[str]) -> list[str]:
    return [f"--tmpfs={directory}:mode=1777" for directory in directories]


def run(place: AbstractContextManager[tuple[Server, str]], sender: Peer, count: int) -> list[Figures]:
    """Return the figures of one server for all sizes."""
    found = []
    with place as (server, log):
        send(sender, server, SESSIONS * 2, 5)  # warm: caches, preforked processes, postscreen's list
        settle(server, log, SESSIONS * 2)
        for size in SIZES_KIB:
            server.checked("truncate", "-s", "0", log)
            before = cpu_seconds(server)
            began = send(sender, server, count, size)
            settle(server, log, count)
            used = (cpu_seconds(server) - before) / count * 1000
            found.append(figures(began, server.checked("cat", log), used))
    return found


def send(sender: Peer, server: Server, count: int, size_kib: int) -> dict[str, float]:
    arguments = [server.address, RECIPIENT, str(count), str(size_kib * 1024), str(SESSIONS)]
    began: dict[str, float] = json.loads(sender.python(SENDER.read_text(), *arguments, timeout=PATIENCE_SECONDS))
    return began


def cpu_seconds(server: Server) -> float:
    """Return the processor time that a container has used (cgroup v2, or v1)."""
    text = server.checked(
        "sh", "-c", "cat /sys/fs/cgroup/cpu.stat 2> /dev/null || cat /sys/fs/cgroup/cpuacct/cpuacct.usage"
    )
    return int(text.split()[1]) / 1e6 if text.startswith("usage_usec") else int(text.split()[0]) / 1e9


def settle(server: Server, log: str, count: int) -> None:
    """Wait until that many messages are delivered."""
    condition = f"until [ $(grep -c 'postfix/lmtp.*status=sent' {log}) -ge {count} ]; do sleep 0.5; done"
    done = server.containers.call("exec", server.name, "bash", "-c", condition, timeout=PATIENCE_SECONDS)
    assert done.code == 0, done.output


def figures(began: Mapping[str, float], log: str, cpu_ms: float) -> Figures:
    """Return the figures by the beginnings of all transactions and the mail log."""
    names = dict(re.findall(r"postfix/cleanup\[\d+\]: (\w+): message-id=<bench-(\d+)@", log))
    delivered = {
        names[queue_id]: datetime.fromisoformat(moment).timestamp()
        for moment, queue_id in re.findall(r"^(\S+) \S+ postfix/lmtp\[\d+\]: (\w+): .*status=sent", log, re.MULTILINE)
        if queue_id in names
    }
    assert delivered.keys() == began.keys(), f"{len(delivered)} of {len(began)} messages were delivered"
    delays = sorted(delivered[number] - began[number] for number in began)
    seconds = max(delivered.values()) - min(began.values())
    return Figures(len(began) / seconds, delays[int(len(delays) * 0.99)], cpu_ms)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
