"""Override files of the config volume (config-files.tsv): copied, appended or merged into what templates made."""

import os
import re
from collections.abc import Iterable
from typing import Final

from dmsinit.base.atomic import write_file
from dmsinit.problem import Problem
from dmsinit.render.inputs import fetchmail, getmail, main_cf
from dmsinit.render.inputs.context import Inputs
from dmsinit.render.inputs.texts import Findings, read
from dmsinit.render.overrides import copies, ldap, rspamd, signing_switch
from dmsinit.render.overrides.copies import Override
from dmsinit.render.paths import Root
from dmsinit.render.programs import run
from dmsinit.render.stage import Edit, Origin, Stage
from dmsinit.settings import Severe

_DH_PARAMETERS: Final = ("/etc/postfix/dhparams.pem", "/etc/dovecot/dh.pem")


_MASTER_LINE: Final = re.compile(r"([0-9a-z][^/\s]*)/([a-z-]+)/([^=\s]+)\s*=\s*(.*)")
_RENAMED_SERVICES: Final = {"smtps": "submissions"}
"""Names of services in master.cf that old override files use."""


def apply(stage: Stage, inputs: Inputs, known: Iterable[Override], root: Root) -> Findings:
    """Stage what the override files say, except postfix-master.cf, which needs the staged tree on disk.

    `known` are those that become files as they are; the others are parts of files, and have their code here.
    """
    findings = Findings()
    for override in known:
        if override.name in inputs.overrides:
            copies.copy(stage, override, root, findings)
    if inputs.settings.account_provisioner == "LDAP":
        ldap.apply(stage, inputs.settings)
    if "dhparams.pem" in inputs.overrides and (data := read(root, "dhparams.pem", findings)) is not None:
        for path in _DH_PARAMETERS:
            stage.add(path, data)
        cause = "replaces the standard group ffdhe4096 (RFC 7919), which is the better choice"
        findings.warnings.append(Problem("dhparams.pem", cause, "delete it unless you have a reason"))
    if "postfix-main.cf" in inputs.overrides:
        _main_cf(stage, root, findings)
    fetchmail.apply(stage, inputs.fetchmail, parallel=inputs.settings.fetchmail_parallel)
    getmail.apply(stage, inputs.overrides, root, findings)
    _trusted_hosts(stage, inputs)
    _signed_bounces(stage, inputs)
    findings.warnings += signing_switch.for_opendkim(stage, inputs.settings, root)
    problems, warnings = rspamd.apply(stage, inputs, root)
    findings.problems += problems
    findings.warnings += warnings
    if inputs.settings.enable_fail2ban and not inputs.host.net_admin:
        cause = "Fail2ban runs, but cannot set firewall rules: the container does not have the capability NET_ADMIN"
        findings.warnings.append(Severe("ENABLE_FAIL2BAN", cause, "run it with --cap-add=NET_ADMIN (compose: cap_add)"))
    return findings


def _main_cf(stage: Stage, root: Root, findings: Findings) -> None:
    base = stage.files.get("/etc/postfix/main.cf")
    text = read(root, "postfix-main.cf", findings)
    if base is None or not text:
        return
    first = next((n for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"), 0)
    if first and text.splitlines()[first - 1][0] in " \t":
        cause = "begins with a blank, so that it continues a line, but there is none before it"
        findings.problems.append(Problem(f"postfix-main.cf:{first}", cause, "remove the blanks at its beginning"))
        return
    merged = main_cf.merge(base.content.decode("utf-8", "surrogateescape"), text)
    content = _checked_at_submission(merged)
    file = stage.add(base.path, content, owner=base.owner, group=base.group, mode=base.mode)
    file.origin = Origin(merged.first_line, "postfix-main.cf")


def _checked_at_submission(merged: main_cf.Merged) -> str:
    """Let a user's checks of parts' headers hold for what users submit, whose own rules are for the top."""
    text = merged.text
    lines = text.split("\n")
    for name in ("mime_header_checks", "nested_header_checks"):
        if name in merged.names:
            first = merged.first_line + merged.names[name] - 2
            value = " ".join(lines[number].strip() for number in main_cf.parameters_of(lines, first))
            text = text.replace(f"\nsender_{name} =\n", f"\nsender_{name} = {value.partition('=')[2].strip()}\n", 1)
    return text


def _trusted_hosts(stage: Stage, inputs: Inputs) -> None:
    """Let OpenDKIM sign for the networks that PERMIT_DOCKER trusts, also where a user has a TrustedHosts file."""
    file = stage.files.get("/etc/opendkim/TrustedHosts")
    if file is None or not inputs.networks.permitted:
        return
    present = file.content.decode("utf-8", "replace").split()
    missing = [network for network in inputs.networks.permitted if network not in present]
    file.content += "".join(f"{network}\n" for network in missing).encode()


def _signed_bounces(stage: Stage, inputs: Inputs) -> None:
    """Let the key of the host's domain sign for the host's own name, too: bounces come from MAILER-DAEMON there."""
    file = stage.files.get("/etc/opendkim/SigningTable")
    if file is None or inputs.host.fqdn == inputs.host.domain:
        return
    rows = [line.split() for line in file.content.decode("utf-8", "replace").splitlines() if line[:1] not in ("", "#")]
    keys = {row[0].lower(): row[1] for row in rows if len(row) == 2}
    key = keys.get(f"*@{inputs.host.domain}")
    if key is not None and f"*@{inputs.host.fqdn}" not in keys:
        end = b"" if file.content.endswith(b"\n") else b"\n"
        file.content += end + f"*@{inputs.host.fqdn} {key}\n".encode()


def master_cf(stage: Stage, directory: str, inputs: Inputs, root: Root) -> Findings:
    """Apply postfix-master.cf to the staged master.cf by postconf(1) -P; lines that are none are skipped."""
    findings = Findings()
    file = stage.files.get("/etc/postfix/master.cf")
    if "postfix-master.cf" not in inputs.overrides or file is None:
        return findings
    services = _services(file.content.decode("utf-8", "replace"))
    edits: list[Edit] = []
    for number, line in enumerate((read(root, "postfix-master.cf", findings) or "").splitlines(), 1):
        edit = _master_edit(line, number, services, findings)
        if edit:
            edits.append(Edit(f"postfix-master.cf:{number}", edit))
    if not edits:
        return findings
    outcome = run(["postconf", "-c", f"{directory}/etc/postfix", "-P", *(edit.text for edit in edits)])
    if outcome.code:
        cause = f"postconf refuses it: {outcome.complaint}"
        findings.problems.append(
            Problem("postfix-master.cf", cause, "write service/type/parameter=value, see postconf(1)")
        )
        return findings
    staged = f"{directory}{file.path}"
    with open(staged, "rb") as changed:
        file.content = changed.read()
    file.edits = tuple(edits)
    os.unlink(staged)
    write_file(staged, file.content, 0o600)  # with a time at which the checkers do not wait
    return findings


def _master_edit(line: str, number: int, services: set[str], findings: Findings) -> str:
    """Return one edit for postconf -P, or "" for a line that is none (with a warning, unless it is meant to be)."""
    text = line.strip()
    if not text or text.startswith("#"):
        return ""
    where = f"postfix-master.cf:{number}"
    match = _MASTER_LINE.fullmatch(line.rstrip())  # no blank in front: the contract skips such a line
    if not match:
        remedy = "write for example submission/inet/smtpd_client_restrictions=reject"
        findings.warnings.append(Problem(where, "is not service/type/parameter=value and is skipped", remedy))
        return ""
    name, kind, parameter, value = match.groups()
    if f"{name}/{kind}" not in services:
        name = _RENAMED_SERVICES.get(name, name)
    if f"{name}/{kind}" not in services:
        remedy = f"master.cf has {', '.join(sorted(s for s in services if s.endswith('/' + kind))) or 'no such type'}"
        findings.warnings.append(Problem(where, f"there is no service {name}/{kind}, so it is skipped", remedy))
        return ""
    value = re.sub(r"\s*,\s*", ",", value)
    if re.search(r"\s", value):
        remedy = f"define it in postfix-main.cf, for example mua_value = {value}, and write {parameter}=$mua_value here"
        findings.warnings.append(Problem(where, "has blanks in its value, which master.cf takes for its end", remedy))
        return ""
    return f"{name}/{kind}/{parameter}={value}"


def _services(text: str) -> set[str]:
    fields = [line.split(None, 2) for line in text.splitlines() if line and line[0] not in " \t#"]
    return {f"{entry[0]}/{entry[1]}" for entry in fields if len(entry) > 1}
