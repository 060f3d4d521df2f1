"""One mail when a newer release exists, and none after that."""

from collections.abc import Callable

from tests.image.harness import Server, account

ANNA = "anna@example.test"


def test_a_newer_release_is_told_once(start: Callable[..., Server]) -> None:
    server = start(
        {"postfix-accounts.cf": account(ANNA)}, environment={"DMS_RELEASE": "v1.0.0", "POSTMASTER_ADDRESS": ANNA}
    )
    server.wait_until_up()
    assert "built without DMS_RELEASES_URL" in server.checked("dmsctl", "logs", "update-check")
    answers = 'echo file:///tmp/latest > /usr/share/dmsinit/releases-url; echo \'{"tag_name": "v1.2.0"}\' > /tmp/latest'
    server.checked("sh", "-c", answers)
    for expected in ("told anna@example.test of release v1.2.0\n", "", ""):
        assert server.checked("update-check") == expected
    assert "Release v1.2.0 is out." in str(server.receive(ANNA, "A newer release of the mail server: v1.2.0"))
    server.checked("sh", "-c", "echo 0.9 > /tmp/latest")
    assert server.checked("update-check") == ""
    server.checked("sh", "-c", "echo nonsense > /tmp/latest")
    assert "does not answer with a version" in server.run("update-check").output
