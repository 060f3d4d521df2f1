"""Where the kernel has no inotify left, which all containers of a host share, the configuration is polled."""

import json
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, account

FILES = {"postfix-accounts.cf": account(f"anna@{DOMAIN}")}


@pytest.mark.parametrize(
    ("call", "errno", "sysctl"),
    [
        ("inotify_init1", 24, "fs.inotify.max_user_instances"),
        ("inotify_add_watch", 28, "fs.inotify.max_user_watches"),
    ],
)
def test_at_a_limit_of_the_kernel_changes_are_polled(
    start: Start, tmp_path: Path, call: str, errno: int, sysctl: str
) -> None:
    """A seccomp filter answers what the kernel answers then (inotify_init(2), inotify_add_watch(2))."""
    refused = {"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    server = start(
        FILES, environment={"DMS_CONFIG_POLL": "0.2"}, options=("--security-opt", f"seccomp={profile}")
    ).wait_until_up()
    assert f"{sysctl}: the kernel cannot report changes of the configuration" in server.log()
    with (server.config / "postfix-virtual.cf").open("w") as file:
        file.write(f"sales@{DOMAIN} anna@{DOMAIN}\n")
    server.wait_for_log("configuration applied")
    server.send(f"sales@{DOMAIN}", "By the new alias")
    server.receive(f"anna@{DOMAIN}", "By the new alias")
    assert server.services()["changedetector"]["state"] == "ready"


def test_an_account_that_comes_later_is_found_without_inotify(start: Start, tmp_path: Path) -> None:
    refused = {"names": ["inotify_init1"], "action": "SCMP_ACT_ERRNO", "errnoRet": 24}
    profile = tmp_path / "seccomp.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    server = start({}, options=("--security-opt", f"seccomp={profile}"))
    server.wait_for_log("no mail account yet")
    (server.config / "postfix-accounts.cf").write_text(account(f"anna@{DOMAIN}"))
    server.wait_until_up()
