"""PERMIT_DOCKER and NETWORK_INTERFACE."""

import pytest

from dmsinit.render.inputs.networks import LOOPBACK, find, interface_address


def address(name: str) -> str:
    return "172.20.3.4" if name == "eth0" else ""


def connected() -> tuple[str, ...]:
    return ("172.20.0.0/16", "10.1.0.0/24")


@pytest.mark.parametrize(
    ("mode", "permitted", "warned"),
    [
        ("container", ("172.20.3.4/32",), False),
        ("host", ("172.20.0.0/16",), True),
        ("network", ("172.16.0.0/12",), True),
        ("connected-networks", ("172.20.0.0/16", "10.1.0.0/24"), True),
    ],
)
def test_modes(mode: str, permitted: tuple[str, ...], warned: bool) -> None:
    found = find(mode, "eth0", asked_for=False, address_of=address, connected=connected)
    assert found.trusted == (*LOOPBACK, *permitted)
    assert found.permitted == permitted
    assert bool(found.warnings) is warned
    assert all("open relay" in str(warning) for warning in found.warnings)


def test_nobody_is_trusted_by_default_even_without_an_interface() -> None:
    found = find("none", "eth0", asked_for=False, address_of=lambda name: "")
    assert (found.trusted, found.problems) == ((), ())


@pytest.mark.parametrize(("mode", "asked_for"), [("none", True), ("container", False), ("host", True)])
def test_interface_without_address_is_a_problem(mode: str, asked_for: bool) -> None:
    found = find(mode, "ath0", asked_for=asked_for, address_of=address)
    assert [problem.where for problem in found.problems] == ["NETWORK_INTERFACE"]
    assert "ath0" in found.problems[0].cause


def test_no_container_network_is_told() -> None:
    found = find("connected-networks", "eth0", asked_for=False, address_of=address, connected=lambda: ())
    assert found.trusted == LOOPBACK
    assert "finds no container network" in found.warnings[0].cause


def test_address_of_a_real_interface() -> None:
    assert interface_address("lo") == "127.0.0.1"
    assert interface_address("nosuch0") == ""
