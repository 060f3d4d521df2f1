"""What users write in unusual ways: it works as meant, or is refused or reported with the place."""

from pathlib import Path

from tests.image.conftest import Start
from tests.image.harness import CONFIG, DOMAIN, Containers, account

ANNA = f"anna@{DOMAIN}"


def test_environment_as_env_files_and_compose_lists_give_it(
    start: Start, containers: Containers, tmp_path: Path
) -> None:
    """Quotation marks, comments, `export`, and an empty TZ beside a mounted /etc/localtime."""
    zone = containers.command("cp", "-L", "/usr/share/zoneinfo/Asia/Tokyo", f"{CONFIG}/localtime", config=tmp_path)
    assert zone.code == 0, zone.output
    server = start(
        {"postfix-accounts.cf": account(ANNA), "user-patches.sh": "echo the zone is $(date +%Z)\n"},
        environment={
            "DEFAULT_RELAY_HOST": "''", "RELAY_HOST": '"relay.test"', "ENABLE_MANAGESIEVE": "1   # text",
            "export ENABLE_SRS": "1", "TZ": "", "ENABLE_AMAVIS": "0  # too heavy here",
        },
        options=("--volume", f"{tmp_path}/localtime:/etc/localtime:ro"),
    )  # fmt: skip
    server.wait_until_up()
    log = server.log()
    assert server.checked("postconf", "-h", "relayhost").strip() == ""
    assert f"@{DOMAIN}    [relay.test]:25\n" in server.checked("cat", "/etc/postfix/relayhost_map")
    assert server.json("dmsctl", "status", "--json")["ready"]
    assert "sieve" in server.checked("doveconf", "-h", "protocols")
    for name in ("DEFAULT_RELAY_HOST", "RELAY_HOST", "ENABLE_MANAGESIEVE", "'export ENABLE_SRS'", "ENABLE_AMAVIS"):
        assert any("WARN" in line and name in line for line in log.splitlines()), name
    assert "the zone is JST" in log
    assert all("+09:00" in line for line in log.splitlines() if " dmsinit: " in line)
    cron = server.checked("sh", "-c", "cat /proc/$(pgrep -o -x cron)/environ")
    assert "PATH=" in cron
    assert "TZ=" not in cron
    server.checked("logger", "-p", "mail.info", "-t", "test", "what time is it")
    server.wait_for_line("/var/log/mail/mail.log", r"\+09:00 .*what time is it")
