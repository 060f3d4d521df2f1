"""Whether the kernel holds a ban: what counts is a rule or set of nftables, in which iptables-nft keeps its own too."""

from dmsinit.helpers.bans import Ruleset, ruleset


def kernel_bans(address: str) -> bool:
    """Return whether a rule or set of the kernel names `address` (an address or network), alone or in a larger one.

    Raises OSError when nft(8) cannot be started.
    """
    held = ruleset()
    return held is not None and held.names(address)


def names(text: str, address: str) -> bool:
    """Return whether the text of a ruleset (`nft list ruleset`) names `address`, alone or in a larger network."""
    return Ruleset(text).names(address)
