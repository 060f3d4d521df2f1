"""Where Postfix sends mail to next (relayhost, transport(5)): the forms of a host, whose errors are deferred mail."""

import re
from typing import Final

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)*(?![0-9]+\.?$){_LABEL}\.?")
_SERVICE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def next_hop(text: str, services: bytes | None = None) -> str:
    """Return why mail cannot be sent to `text` (host, [host], each with :port), or "".

    `services`: the bytes of /etc/services; without it any name of a port will do.
    """
    match = re.fullmatch(r"\[([^\[\]]*)\](.*)|([^\[\]:]*)(.*)", text, re.DOTALL)
    host = (match.group(1) if match.group(1) is not None else match.group(3)) if match else ""
    rest = ((match.group(2) if match.group(1) is not None else match.group(4)) or "") if match else text
    if not is_host(host):
        return f"{text} is not a host; write host:port or [host]:port"
    if rest and not rest.startswith(":"):
        return f"{text} has {rest} where :port belongs; write [{host}]:port"
    port = rest[1:]
    if rest and not (port.isdecimal() and 0 < int(port) < 65536) and not _is_service(port, services):
        return f"{text} has {port or 'nothing'} where a port belongs"
    return ""


def is_host(text: str) -> bool:
    """Return whether `text` is the name of a host or an IP address (of version 6 also as `ipv6:ADDRESS`)."""
    if _HOST.fullmatch(text) and len(text) < 255:
        return True
    import ipaddress  # few hosts are given by an address, and loading it takes a start 5 ms

    try:
        ipaddress.ip_address(re.sub(r"^ipv6:(?=.*:)", "", text, flags=re.IGNORECASE))
    except ValueError:
        return False
    return True


def _is_service(name: str, services: bytes | None) -> bool:
    if services is None:
        return bool(_SERVICE.fullmatch(name))
    return bool(re.search(rb"^" + re.escape(name.encode("utf-8", "replace")) + rb"\s+\d+/tcp", services, re.MULTILINE))
