"""PID 1 is replaced in place: no daemon notices, and everything is supervised as before."""

from collections.abc import Callable

import pytest

from tests.image.harness import Server, account

ANNA = "anna@example.test"


@pytest.fixture
def own(start: Callable[..., Server]) -> Server:
    return start({"postfix-accounts.cf": account(ANNA)}).wait_until_up()


def test_new_code_takes_over_and_supervises_on(own: Server) -> None:
    before = own.pids()
    own.checked("sh", "-c", "echo '__version__ = \"9.9.9\"' >> /usr/lib/python3/dist-packages/dmsinit/__init__.py")
    assert own.checked("dmsctl", "reexec") == "dmsinit 9.9.9 has taken over; no service was stopped\n"
    assert own.pids() == before
    own.checked("pkill", "-KILL", "-x", "opendmarc")
    own.wait_for_log("opendmarc ended")
    own.checked("dmsctl", "start", "opendmarc")
    after = own.pids()
    assert {name for name in after if after[name] != before[name]} == {"opendmarc"}
    own.checked("setup", "email", "add", "bob@example.test", "secret")
    own.wait_for_log("configuration applied")
    own.send(ANNA, "after the change of PID 1", port=587, login=ANNA)
    assert own.receive(ANNA, "after the change of PID 1")["From"] == ANNA


def test_code_that_does_not_start_is_refused(own: Server) -> None:
    own.checked("sh", "-c", "echo 'this is no Python' >> /usr/lib/python3/dist-packages/dmsinit/pid1/init.py")
    refused = own.run("dmsctl", "reexec")
    assert refused.code == 1
    assert "the installed code does not start" in refused.output
    assert own.services()["postfix"]["state"] == "ready"
