"""A switch between OpenDKIM and Rspamd: what signed mail before goes on, under the same selectors.

Who switches by ENABLE_RSPAMD and ENABLE_OPENDKIM has published records for keys in the config volume. As long as the
signer that is on has no configuration of its own there, it gets one from that of the other. Where it has, both are
compared: a record that does not fit any more is reported.
"""

import subprocess
from pathlib import Path
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.stage import Stage
from dmsinit.settings import Settings
from dmsinit.volume import rspamd_dkim
from dmsinit.volume.signing import OPENDKIM_KEYS, RSPAMD, Signing, SigningKey, of_opendkim, of_rspamd

_RSPAMD_KEYS: Final = "/etc/rspamd/dkim"
_OPENDKIM: Final = "/etc/opendkim"
_SECONDS: Final = 10.0
"""openssl answers within milliseconds; one that hangs must not hold up the start."""


def for_rspamd(stage: Stage, settings: Settings, root: Root, texts: dict[str, str]) -> list[Problem]:
    """Add the signing configuration that OpenDKIM's keys make to `texts` (Rspamd's override.d); return warnings."""
    if settings.enable_opendkim:
        return []
    volume = Path(root(VOLUME))
    former = of_opendkim(volume)
    if root.exists(f"{VOLUME}/{RSPAMD}"):
        return _differences(of_rspamd(volume), former)
    if not former.keys:
        return former.warnings
    entries = []
    for key in former.keys:
        path = f"{_RSPAMD_KEYS}/{key.domain}.{key.selector}.key"
        stage.add(path, key.pem, owner=rspamd_dkim.USER, group=rspamd_dkim.USER, mode=0o600)
        entries.append((key.domain, key.selector, path))
    texts["dkim_signing.conf"] = rspamd_dkim.configuration(entries)
    return [*former.warnings, _goes_on("Rspamd", OPENDKIM_KEYS, former, RSPAMD)]


def for_opendkim(stage: Stage, settings: Settings, root: Root) -> list[Problem]:
    """Stage the tables and keys that Rspamd's signing configuration makes for OpenDKIM; return warnings."""
    if not settings.enable_opendkim or settings.enable_rspamd:
        return []
    volume = Path(root(VOLUME))
    former = of_rspamd(volume)
    if root.exists(f"{VOLUME}/{OPENDKIM_KEYS}"):
        return _differences(of_opendkim(volume), former)
    if not former.keys:
        return former.warnings
    keys, senders = [], []
    for key in former.keys:
        path = f"{_OPENDKIM}/keys/{key.domain}/{key.selector}.private"
        stage.add_directory(f"{_OPENDKIM}/keys", owner="opendkim", group="opendkim", mode=0o700)
        stage.add_directory(f"{_OPENDKIM}/keys/{key.domain}", owner="opendkim", group="opendkim", mode=0o700)
        stage.add(path, key.pem, owner="opendkim", group="opendkim", mode=0o600)
        keys.append(f"{key.record} {key.domain}:{key.selector}:{path}\n")
        senders.append(f"*@{key.domain} {key.record}\n")
    for name, lines in (("KeyTable", keys), ("SigningTable", senders)):
        stage.add(f"{_OPENDKIM}/{name}", "".join(lines), owner="opendkim", group="opendkim", mode=0o644)
    return [*former.warnings, _goes_on("OpenDKIM", RSPAMD, former, OPENDKIM_KEYS)]


def _goes_on(signer: str, place: str, former: Signing, own: str) -> Problem:
    records = ", ".join(key.record for key in former.keys)
    cause = f"{signer} signs with the keys named here, as {own} does not exist: the published records stay ({records})"
    return Problem(place, cause, "run setup config dkim, which brings the keys over")


def _differences(current: Signing, former: Signing) -> list[Problem]:
    """Return a warning for each published record that the signer in use makes useless."""
    found = []
    for key in former.keys:
        same = next((one for one in current.keys if one.record == key.record), None)
        if same and (same.pem == key.pem or _public(same) == _public(key)):
            continue
        others = [one for one in current.keys if one.domain == key.domain]
        if same:
            cause = f"mail of {key.domain} is signed with {same.path}, not with {key.path}: {key.record} has to change"
            remedy = f"publish the record of {same.path}, then delete the other key and the lines that name it"
        elif others:
            cause = f"mail of {key.domain} is signed as {others[0].record}, not as {key.record}"
            remedy = f"publish that record if it is not yet, then delete {key.path} and the lines that name it"
        else:
            cause = f"mail of {key.domain} is not signed any more: nothing names {key.path}"
            remedy = (
                f"name it in the configuration of the signer in use, or delete {key.path} and the lines that name it"
            )
        found.append(Problem(key.record, cause, remedy))
    return found


def _public(key: SigningKey) -> bytes:
    """Return the public key, or something that equals nothing else where openssl cannot read it."""
    command = ["openssl", "pkey", "-pubout", "-passin", "pass:"]
    try:
        done = subprocess.run(command, input=key.pem, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return key.pem
    return key.pem if done.returncode else done.stdout
