"""Whether the kernel holds a ban: what counts is a rule or set of nftables, in which iptables-nft keeps its own too."""

import ipaddress
import re
import subprocess
from typing import Final

_NETWORK: Final = re.compile(r"(?<![\w.:/-])([0-9a-fA-F:.]{2,45}(?:/\d{1,3})?)(?:-([0-9a-fA-F:.]{2,45}))?(?![\w.:/-])")


def kernel_bans(address: str) -> bool:
    """Return whether a rule or set of the kernel names `address` (an address or network), alone or in a larger one.

    Raises OSError when nft(8) cannot be started.
    """
    done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False)
    return names(done.stdout, address)


def names(ruleset: str, address: str) -> bool:
    """Return whether the text of a ruleset (`nft list ruleset`) names `address`, alone or in a larger network."""
    wanted = ipaddress.ip_network(address, strict=False)
    for first, last in _NETWORK.findall(ruleset):
        try:
            network = ipaddress.ip_network(first, strict=False)
            end = ipaddress.ip_address(last) if last else network[-1]
        except ValueError:
            continue
        if network.version != wanted.version or end.version != wanted.version:
            continue
        if int(network[0]) <= int(wanted[0]) and int(wanted[-1]) <= int(end):
            return True
    return False
