"""Override files of the config volume (config-files.tsv): copied, appended or merged into what templates made."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render import dkim, dovecot23, fetchmail, getmail, ldap, maincf, rspamd
from dmsinit.render.atomic import write_file
from dmsinit.render.context import Inputs
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.processes import run
from dmsinit.render.stage import Edit, Origin, Stage
from dmsinit.render.texts import Findings, read
from dmsinit.settings import Severe

SIEVE: Final = "/usr/lib/dovecot"
_DH_PARAMETERS: Final = ("/etc/postfix/dhparams.pem", "/etc/dovecot/dh.pem")


@dataclass(frozen=True)
class Copied:
    """A file of the volume that is installed as it is, when `when` holds."""

    name: str
    target: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    when: Callable[[Inputs], bool] = lambda inputs: True


@dataclass(frozen=True)
class CopiedTree:
    """A directory of the volume whose files are installed below `target`, when it holds `proof` (a file of it)."""

    name: str
    target: str
    proof: str = ""
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    private: tuple[str, ...] = ()
    """Subdirectories that only the owner may read: mode 0700, files 0600."""
    when: Callable[[Inputs], bool] = lambda inputs: True


def _dovecot(inputs: Inputs) -> bool:
    return not inputs.settings.smtp_only


def _opendkim(inputs: Inputs) -> bool:
    return bool(inputs.settings.enable_opendkim)


def _fail2ban(inputs: Inputs) -> bool:
    return bool(inputs.settings.enable_fail2ban)


def _postgrey(inputs: Inputs) -> bool:
    return bool(inputs.settings.enable_postgrey)


def _amavis(inputs: Inputs) -> bool:
    return bool(inputs.settings.enable_amavis)


def _spamassassin(inputs: Inputs) -> bool:
    return bool(inputs.settings.enable_spamassassin)


def _getmail(inputs: Inputs) -> bool:
    return bool(inputs.settings.enable_getmail)


def _ldap(inputs: Inputs) -> bool:
    return inputs.settings.account_provisioner == "LDAP"


COPIED: Final = (
    *(Copied(name, f"{ldap.DIRECTORY}/{name}", "root", "postfix", 0o640, when=_ldap) for name in ldap.OF_USERS),
    Copied("dovecot.cf", "/etc/dovecot/local.conf", when=_dovecot),
    Copied("before.dovecot.sieve", f"{SIEVE}/sieve-global/before/50-before.dovecot.sieve", "dovecot", when=_dovecot),
    Copied("after.dovecot.sieve", f"{SIEVE}/sieve-global/after/50-after.dovecot.sieve", "dovecot", when=_dovecot),
    Copied("fail2ban-fail2ban.cf", "/etc/fail2ban/fail2ban.local", when=_fail2ban),
    Copied("fail2ban-jail.cf", "/etc/fail2ban/jail.d/user-jail.local", when=_fail2ban),
    Copied("whitelist_clients.local", "/etc/postgrey/whitelist_clients.local", when=_postgrey),
    Copied("whitelist_recipients", "/etc/postgrey/whitelist_recipients", when=_postgrey),
    Copied("amavis.cf", "/etc/amavis/conf.d/50-user", when=_amavis),
    Copied(f"{getmail.FOLDER}/{getmail.GENERAL_PART}", getmail.GENERAL, mode=0o600, when=_getmail),
    Copied("spamassassin-rules.cf", "/etc/spamassassin/spamassassin-rules.cf", when=_spamassassin),
)

TREES: Final = (
    CopiedTree("opendkim", "/etc/opendkim", "KeyTable", "opendkim", "opendkim", private=("keys",), when=_opendkim),
    CopiedTree("sieve-filter", f"{SIEVE}/sieve-filter", "", "dovecot", "root", 0o755, when=_dovecot),
    CopiedTree("sieve-pipe", f"{SIEVE}/sieve-pipe", "", "dovecot", "root", 0o755, when=_dovecot),
)

_MASTER_LINE: Final = re.compile(r"([0-9a-z][^/\s]*)/([a-z-]+)/([^=\s]+)\s*=\s*(.*)")
_RENAMED_SERVICES: Final = {"smtps": "submissions"}
"""Names of services in master.cf that old override files use."""


def apply(stage: Stage, inputs: Inputs, root: Root) -> Findings:
    """Stage what the override files say, except postfix-master.cf, which needs the staged tree on disk."""
    findings = Findings()
    for copied in COPIED:
        if copied.name in inputs.overrides and copied.when(inputs):
            _copy(stage, copied, root, findings)
    if _ldap(inputs):
        ldap.apply(stage, inputs.settings)
    for tree in TREES:
        if tree.name in inputs.overrides and tree.when(inputs):
            _copy_tree(stage, tree, root, findings)
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
    findings.warnings += dkim.for_opendkim(stage, inputs.settings, root)
    problems, warnings = rspamd.apply(stage, inputs, root)
    findings.problems += problems
    findings.warnings += warnings
    if inputs.settings.enable_fail2ban and not inputs.host.net_admin:
        cause = "Fail2ban runs, but cannot set firewall rules: the container does not have the capability NET_ADMIN"
        findings.warnings.append(Severe("ENABLE_FAIL2BAN", cause, "run it with --cap-add=NET_ADMIN (compose: cap_add)"))
    return findings


def _copy(stage: Stage, copied: Copied, root: Root, findings: Findings) -> None:
    text = read(root, copied.name, findings)
    if text is not None and copied.name == "dovecot.cf":
        findings.problems += dovecot23.scan(copied.name, text)
    if text is not None:
        file = stage.add(copied.target, text, owner=copied.owner, group=copied.group, mode=copied.mode)
        file.origin = Origin(1, copied.name)


def _copy_tree(stage: Stage, tree: CopiedTree, root: Root, findings: Findings) -> None:
    base = root(f"{VOLUME}/{tree.name}")
    if tree.proof and not os.path.isfile(f"{base}/{tree.proof}"):
        return
    for parent, directories, names in os.walk(base, onerror=_unreadable(tree.name, findings)):
        directories.sort()
        relative = parent[len(base) :]
        private = relative.strip("/").split("/")[0] in tree.private
        mode = 0o600 if private else tree.mode
        for name in sorted(names):
            source = f"{tree.name}{relative}/{name}"
            try:
                data = root.read(f"{VOLUME}/{source}")
            except OSError as error:
                findings.problems.append(Problem(source, f"cannot be read: {error.strerror}", "make it readable"))
                continue
            file = stage.add(
                f"{tree.target}{relative}/{name}", data or b"", owner=tree.owner, group=tree.group, mode=mode
            )
            file.origin = Origin(1, source)
        stage.add_directory(
            tree.target + relative, owner=tree.owner, group=tree.group, mode=0o700 if private else 0o755
        )


def _unreadable(name: str, findings: Findings) -> Callable[[OSError], None]:
    def report(error: OSError) -> None:
        findings.problems.append(Problem(name, f"cannot be read: {error.strerror}", "make it readable for root"))

    return report


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
    merged = maincf.merge(base.content.decode("utf-8", "surrogateescape"), text)
    content = _checked_at_submission(merged)
    file = stage.add(base.path, content, owner=base.owner, group=base.group, mode=base.mode)
    file.origin = Origin(merged.first_line, "postfix-main.cf")


def _checked_at_submission(merged: maincf.Merged) -> str:
    """Let a user's checks of parts' headers hold for what users submit, whose own rules are for the top."""
    text = merged.text
    lines = text.split("\n")
    for name in ("mime_header_checks", "nested_header_checks"):
        if name in merged.names:
            first = merged.first_line + merged.names[name] - 2
            value = " ".join(lines[number].strip() for number in maincf.parameters_of(lines, first))
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
