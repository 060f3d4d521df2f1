"""Whose network it is."""

import pytest

from dmsinit.render.start.loopback import has_own_network
from tests.unit.render.conftest import System


@pytest.mark.parametrize(
    ("links", "own"),
    [
        ({"lo": (1, 1), "eth0": (2, 17)}, True),  # veth, as Docker and podman make it
        ({"lo": (1, 1), "eth0": (2, 17), "sit0": (3, 0)}, True),
        ({"lo": (1, 1)}, True),
        ({"lo": (1, 1), "enp1s0": (2, 2)}, False),  # a network card
        ({"lo": (1, 1), "eth0": (2, 17), "docker0": (3, 3)}, False),  # a host that is a container itself
        ({}, False),  # no sysfs
    ],
)
def test_network_is_our_own_when_all_links_end_elsewhere(
    system: System, links: dict[str, tuple[int, int]], own: bool
) -> None:
    for name, (here, there) in links.items():
        system.write(f"/sys/class/net/{name}/ifindex", f"{here}\n")
        system.write(f"/sys/class/net/{name}/iflink", f"{there}\n")
    system.write("/sys/class/net/bonding_masters", "")  # no interface
    assert has_own_network(system.root) is own
