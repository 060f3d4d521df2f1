"""What every process of a server with everything on has, compared with docs/reference/rights.md."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, account
from tests.support.rights import Rights, read_table

ANNA = f"anna@{DOMAIN}"
EVERYTHING: Final = {
    "ENABLE_AMAVIS": "1", "ENABLE_CLAMAV": "1", "ENABLE_RSPAMD": "1", "RSPAMD_LEARN": "1",
    "ENABLE_POSTGREY": "1", "POSTGREY_DELAY": "0", "ENABLE_SRS": "1", "ENABLE_MTA_STS": "1", "ENABLE_FAIL2BAN": "1",
    "ENABLE_FETCHMAIL": "1", "ENABLE_GETMAIL": "1", "ENABLE_POP3": "1", "ENABLE_MANAGESIEVE": "1", "ENABLE_QUOTAS": "1",
    "ENABLE_SASLAUTHD": "1", "SASLAUTHD_MECHANISMS": "rimap", "SASLAUTHD_MECH_OPTIONS": "127.0.0.1",
}  # fmt: skip
FILES: Final = {
    "postfix-accounts.cf": account(ANNA),
    "fetchmail.cf": 'poll 127.0.0.9 proto imap user "x" password "y" is z here\n',
    f"getmail/{ANNA}.cf": "[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.9\nusername = x\npassword = y\n",
}
SIGNATURE: Final = "Test-Signature:0:*:6120746573742077697468206e6f206d65616e696e67\n"
ONCE: Final = {"freshclam", "logrotate", "mailboxes", "spamassassin-update", "update-check", "virus-wiper"}
"""Services that end by themselves: they may be gone before anybody looks."""
NUMBERS: Final = {
    "chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7, "setpcap": 8,
    "net_bind_service": 10, "net_admin": 12, "sys_chroot": 18,
}  # fmt: skip
"""Numbers of capabilities(7)."""
LOOK: Final = """
import json, os, pwd, subprocess
told = json.loads(subprocess.run(["dmsctl", "status", "--json"], stdout=subprocess.PIPE, check=True).stdout)
heads = {one["pid"]: one["name"] for one in told["services"] if one["pid"]} | {1: "dmsinit"}
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)
        with open(f"/proc/{pid}/cmdline") as file:
            command = file.read().replace("\\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        continue
    found.append({
        "pid": int(pid), "parent": int(status["PPid"]), "command": command,
        "users": sorted({pwd.getpwuid(int(uid)).pw_name for uid in status["Uid"].split()}),
        "held": [int(status[name], 16) for name in ("CapEff", "CapPrm")], "inherits": int(status["CapInh"], 16),
        "bound": int(status["CapBnd"], 16), "no_new_privs": status["NoNewPrivs"] == "1",
    })
parents = {one["pid"]: one["parent"] for one in found}
for one in found:
    pid = one["pid"]
    while pid and pid not in heads:
        pid = parents.get(pid, 0)
    one["service"] = heads.get(pid, "")
print(json.dumps(found))
"""
"""All processes, each with the service that its nearest known ancestor is; what `docker exec` started has none."""


@dataclass(frozen=True)
class Process:
    """One process as the kernel shows it; sets of capabilities are bit masks."""

    pid: int
    parent: int
    command: str
    users: list[str]
    held: list[int]
    inherits: int
    bound: int
    no_new_privs: bool
    service: str


@pytest.fixture(scope="module")
def processes(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Process]]:
    """The processes of a server after a message was delivered and a user has logged in everywhere."""
    folder = tmp_path_factory.mktemp("rights")
    (folder / "clamav").mkdir()
    (folder / "clamav" / "test.ndb").write_text(SIGNATURE)
    server = containers.start(
        FILES, folder / "config", environment=EVERYTHING, options=["--volume", f"{folder}/clamav:/var/lib/clamav"]
    ).wait_until_up()
    with server.imap(ANNA), server.smtp(587, starttls=True) as smtp:
        smtp.noop()
        found = json.loads(server.run("python3", "-", stdin=LOOK).output)
    yield [Process(**one) for one in found]
    server.remove()


def mask(row: Rights, full: int) -> int:
    """Return a row's capabilities, as far as the container has them."""
    if row.capabilities is None:
        return full
    return sum(1 << NUMBERS[name] for name in row.capabilities) & full


def test_every_process_has_what_the_table_says(processes: list[Process]) -> None:
    table = read_table()
    full = next(one for one in processes if one.pid == 1).bound
    wrong = []
    for one in processes:
        if not one.service or (one.service == "dmsinit" and one.pid != 1):
            continue  # ours, who look; and what dmsinit starts beside services
        row = table[one.service]
        allowed = mask(row, full)
        held = {allowed} if "root" in one.users else {0}
        if (
            not set(one.users) <= row.users
            or one.bound != allowed
            or set(one.held) != held
            or one.no_new_privs != row.no_new_privs
            or one.inherits & ~allowed
        ):
            wrong.append(one)
    assert wrong == []


def test_every_service_and_user_of_the_table_was_seen(processes: list[Process]) -> None:
    seen: dict[str, set[str]] = {}
    for one in processes:
        seen.setdefault(one.service, set()).update(one.users)
    table = read_table()
    assert table.keys() - seen.keys() <= ONCE | {"saslauthd_ldap"}
    rare = {"policyd-spf", "nobody", "amavis"}  # started when there is something to do
    for name in seen.keys() - {"", *ONCE}:
        assert table[name].users - seen[name] <= rare, name


def test_without_the_right_to_take_any_away_services_run(start: Start) -> None:
    """A container with `cap_drop: SETPCAP`: its services have what it has."""
    environment = {"ENABLE_AMAVIS": "0", "ENABLE_OPENDMARC": "0"}
    server = start(FILES, environment=environment, options=["--cap-drop=SETPCAP"]).wait_until_up()
    with server.imap(ANNA) as imap:
        assert imap.select()[0] == "OK"
