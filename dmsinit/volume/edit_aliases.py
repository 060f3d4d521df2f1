"""Edit virtual aliases in postfix-virtual.cf."""

from pathlib import Path

from dmsinit.volume import files
from dmsinit.volume.document import Document, Entry
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard
from dmsinit.volume.names import why_no_alias, why_no_recipient
from dmsinit.volume.parse import split_key, split_targets


def alias_document(directory: Path) -> Document:
    """Return postfix-virtual.cf for editing; the caller holds the lock."""
    return Document(directory, files.ALIASES, lambda text: split_key(text)[0], continued=True)


def add_alias(directory: Path, alias: str, recipients: tuple[str, ...], tell: Tell = unheard) -> None:
    """Add recipients to an alias, which is made when it is new.

    Raises EditError when a recipient stands there already. That the alias is no account is for the caller to check.
    """
    if not alias or alias.endswith("@") or split_key(alias)[1] or "," in alias.replace('"', ""):
        raise EditError(f"cannot use {alias!r} as an alias; write user@domain, @domain or user")
    if reason := why_no_alias(alias):
        raise EditError(f"cannot use {alias!r} as an alias: {reason}; choose another name")
    for recipient in recipients:
        if reason := why_no_recipient(recipient):
            raise EditError(f"cannot add {recipient!r} to the alias {alias}: {reason}")
    if not recipients:
        raise EditError(f"cannot add the alias {alias}: it has no recipient")
    with exclusive(directory, tell):
        document = alias_document(directory)
        found = document.find(alias)
        known = {target.lower() for entry in found for target in _targets(entry)}
        for recipient in recipients:
            if recipient.lower() in known:
                raise EditError(f"cannot add {recipient} to the alias {alias}: it is one of its recipients already")
        if found:
            separator = " " if not _targets(found[0]) else "" if found[0].text.endswith(",") else ","
            document.extend(found[0], separator + ",".join(recipients))
        else:
            document.append(f"{alias} {','.join(recipients)}")
        document.save()


def remove_alias(
    directory: Path, alias: str, recipients: tuple[str, ...], tell: Tell = unheard
) -> tuple[str, ...] | None:
    """Delete recipients from an alias, and the alias with its last one.

    Returns those that it did not have, None when there is no such alias: both are fine.
    """
    with exclusive(directory, tell):
        document = alias_document(directory)
        found = document.find(alias)
        if not found:
            return None
        known = {target.lower() for entry in found for target in _targets(entry)}
        for recipient in recipients:
            for entry in document.find(alias):
                remove_recipient(document, entry, recipient)
        document.save()
    return tuple(recipient for recipient in recipients if recipient.lower() not in known)


def remove_recipient(document: Document, entry: Entry, recipient: str) -> None:
    """Delete a recipient from one alias line, and the line when none is left; without it the line stays as it is."""
    targets = _targets(entry)
    left = [target for target in targets if target.lower() != recipient.lower()]
    if len(left) == len(targets):
        return
    if left:
        key, _ = split_key(entry.text)
        blank = entry.text[len(key) :][: len(entry.text) - len(key) - len(entry.text[len(key) :].lstrip())]
        document.replace(entry, key + blank + ",".join(left))
    else:
        document.remove(entry)


def _targets(entry: Entry) -> tuple[str, ...]:
    return split_targets(split_key(entry.text)[1])
