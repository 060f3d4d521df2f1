"""SRS rewrites strangers and leaves the senders of all hosted domains as they are."""

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, account

QUIET = {"ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0"}


def test_senders_of_hosted_domains_stay_as_they_are(start: Start) -> None:
    files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}") + account("bob@second.test")}
    environment = QUIET | {"ENABLE_SRS": "1", "SRS_EXCLUDE_DOMAINS": "kept.test"}
    server = start(files, environment=environment).wait_until_up()

    def rewritten(sender: str) -> str:
        return server.run("postmap", "-q", sender, "tcp:localhost:10001").output.strip()

    kept = ("anna@example.test", "bob@second.test", "x@kept.test")
    assert {sender: rewritten(sender) for sender in kept} == dict.fromkeys(kept, "")
    assert rewritten("rita@outside.test").startswith("SRS0=")
    with (server.config / "postfix-accounts.cf").open("a") as file:
        file.write(account("carla@third.test"))
    server.checked("dmsctl", "apply")
    assert rewritten("carla@third.test") == ""
