"""A service is ready when it answers itself, and one that was ill starts at once when its cause is gone."""

from collections.abc import Iterator

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account

TAKEN = """
description = "A milter of the user's at a port that is taken"
command = ["/usr/bin/python3", "-I", "-c", '''
import socket, time
server = socket.create_server(("127.0.0.1", 8893))
time.sleep(1000)
''']
[ready]
probe = "milter"
address = "inet:127.0.0.1:8893"
timeout = "20s"
"""

PATIENT = '[restart]\ndelay = "10m"\nmax_delay = "10m"\n'


@pytest.fixture(scope="module")
def server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = containers.start(
        {"postfix-accounts.cf": account(f"anna@{DOMAIN}"), "services/opendmarc.toml": PATIENT},
        tmp_path_factory.mktemp("strangers"),
        environment={
            "ENABLE_AMAVIS": "0", "ENABLE_POSTGREY": "1", "ENABLE_SRS": "1", "ENABLE_FAIL2BAN": "1",
            "ENABLE_MTA_STS": "1", "ENABLE_SASLAUTHD": "0",
        },
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


WELL = ("ready", "exited", "disabled")


def test_everything_of_ours_is_found_to_answer_itself(server: Server) -> None:
    assert {name: one["state"] for name, one in server.services().items() if one["state"] not in WELL} == {}
    assert "is answered" not in server.checked("dmsctl", "events")


def test_a_milter_at_a_port_that_is_taken_is_refused(server: Server) -> None:
    before = server.pids()["opendmarc"]
    (server.config / "services" / "milter.toml").write_text(TAKEN)
    refused = server.run("dmsctl", "apply")
    assert refused.code == 1
    assert "cannot start milter" in refused.output
    assert "milter" not in server.services()
    assert server.pids()["opendmarc"] == before
    (server.config / "services" / "milter.toml").unlink()


def test_a_port_that_somebody_had_before_makes_nobody_ready(server: Server) -> None:
    """Not a service of ours, and of the same user: what listened before the start is somebody else's."""
    server.checked("dmsctl", "stop", "opendmarc")
    stranger = "import socket, time; s = socket.create_server(('127.0.0.1', 8893)); time.sleep(1000)"
    server.checked("sh", "-c", f'setpriv --reuid opendmarc --clear-groups python3 -c "{stranger}" > /dev/null 2>&1 &')
    server.until("grep -q 0100007F:22BD /proc/net/tcp")
    server.checked("dmsctl", "start", "--no-wait", "opendmarc")
    server.until("dmsctl status opendmarc | grep -q backoff")
    server.checked("pkill", "-f", "create_server")  # of this container only
    assert "start" in (said := server.checked("dmsctl", "plan"))
    assert "opendmarc" in said
    assert "opendmarc" in server.checked("dmsctl", "apply")
    assert server.services()["opendmarc"]["state"] == "ready"
    assert server.checked("dmsctl", "apply").startswith("nothing to do")
