"""What configuration is made from."""

from dmsinit.render.inputs.context import gather
from tests.unit.render.conftest import System


def test_a_directory_has_the_accounts_and_the_files_have_none(system: System) -> None:
    system.volume("postfix-accounts.cf", "anna@hill.test|{PLAIN}x\n")
    system.volume("postfix-virtual.cf", "info@hill.test anna@hill.test\n")
    system.volume("postfix-relaymap.cf", "@hill.test [relay.test]:587\n")
    volume = gather(system.root, {}).volume
    assert (len(volume.accounts), len(volume.aliases), volume.domains) == (1, 1, ("hill.test",))
    volume = gather(system.root, {"ACCOUNT_PROVISIONER": "LDAP", "LDAP_SERVER_HOST": "ldap://d.test"}).volume
    assert (volume.accounts, volume.aliases, volume.domains) == ((), (), ())
    assert [route.sender for route in volume.relay_map] == ["@hill.test"]
