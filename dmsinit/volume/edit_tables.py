"""Edit who may send and receive (access(5) tables) and through which relay mail of a domain goes."""

from pathlib import Path

from dmsinit.volume import files
from dmsinit.volume.document import Document
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard
from dmsinit.volume.parse import split_key

ACCESS_FILES = {"send": files.SEND_ACCESS, "receive": files.RECEIVE_ACCESS}
"""Which file says who may not do what."""

MAX_PORT = 65535


def deny(directory: Path, direction: str, address: str, tell: Tell = unheard) -> None:
    """Forbid an address to `send` or to `receive`; raises EditError when it is forbidden already."""
    if not address or any(character.isspace() for character in address):
        raise EditError(f"cannot use {address!r} as an address; write user@domain or domain")
    with exclusive(directory, tell):
        document = _access_document(directory, direction)
        if document.find(address):
            raise EditError(f"cannot forbid {address} to {direction}: {document.path.name} lists it already")
        document.append(f"{address}\tREJECT")
        document.save()


def allow(directory: Path, direction: str, address: str, tell: Tell = unheard) -> None:
    """Take back `deny`; raises EditError when the address is not forbidden."""
    with exclusive(directory, tell):
        document = _access_document(directory, direction)
        if not document.discard(address):
            raise EditError(f"cannot allow {address} to {direction}: {document.path.name} does not list it")
        document.save()


def denials(directory: Path, direction: str) -> list[str]:
    """Return the lines that reject somebody."""
    lines = (entry.text for entry in _access_document(directory, direction).entries())
    return [line for line in lines if split_key(line)[1][:6].upper() == "REJECT"]


def set_relay_credentials(directory: Path, domain: str, user: str, password: str, tell: Tell = unheard) -> None:
    """Set with which user and password a relay is used for senders of a domain."""
    key = _sender(domain)
    if not user or ":" in user or user != user.strip():
        raise EditError(f"cannot use {user!r} as relay user: it is empty, or has a colon or outer blanks")
    if not password or password != password.strip() or "\n" in password or "\r" in password:
        raise EditError("cannot store the relay password: it is empty, has outer blanks or a line break")
    with exclusive(directory, tell):
        document = Document(directory, files.SASL_PASSWORDS, lambda text: split_key(text)[0], new_mode=0o600)
        document.set(key, f"{key} {user}:{password}")
        document.save()


def set_relay(directory: Path, domain: str, host: str, port: str, tell: Tell = unheard) -> None:
    """Send mail of a domain through `host`, a name or address (brackets around it are allowed)."""
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or any(character.isspace() or character in "[]" for character in bare):
        raise EditError(f"cannot use {host!r} as relay; write a host name or an IP address")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) <= MAX_PORT:
        raise EditError(f"cannot use {port!r} as port; write a number from 1 to {MAX_PORT}")
    _set_route(directory, _sender(domain), f" [{bare}]:{int(port)}", tell)


def exclude_from_relay(directory: Path, domain: str, tell: Tell = unheard) -> None:
    """Send mail of a domain directly, whatever RELAY_HOST says."""
    _set_route(directory, _sender(domain), "", tell)


def _set_route(directory: Path, sender: str, route: str, tell: Tell) -> None:
    with exclusive(directory, tell):
        document = Document(directory, files.RELAY_MAP, lambda text: split_key(text)[0])
        document.set(sender, sender + route)
        document.save()


def _sender(domain: str) -> str:
    name = domain.removeprefix("@")
    if not name or "@" in name or any(character.isspace() for character in name):
        raise EditError(f"cannot use {domain!r} as a domain; write for example hill.test")
    return f"@{name.lower()}"


def _access_document(directory: Path, direction: str) -> Document:
    return Document(directory, ACCESS_FILES[direction], lambda text: split_key(text)[0], continued=True)
