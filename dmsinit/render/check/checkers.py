"""The daemons' own checkers: which program reads which staged file, and when that is worth its time."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dmsinit.render.check import amavis, complaints, fail2ban, getmail, postgrey, session, spamassassin
from dmsinit.render.check.places import ALIASES, DOVECOT_CONF, MAIN_CF, RSPAMD_OVERRIDES
from dmsinit.render.check.verdict import Verdict
from dmsinit.render.inputs.fetchmail import RC
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Stage
from dmsinit.volume.files import REGEXP

BARE_POSTFIX: Final = f"{os.path.dirname(__file__)}/bare"
"""A configuration directory of Postfix that sets nothing."""
BEFORE_SIEVE: Final = "/usr/lib/dovecot/sieve-global/before/50-before.dovecot.sieve"
AFTER_SIEVE: Final = "/usr/lib/dovecot/sieve-global/after/50-after.dovecot.sieve"


@dataclass(frozen=True)
class Checker:
    """A program, whether it has to run, and who understands what it says."""

    needs: str
    """A staged file, or a directory (with a slash at its end) in which there has to be one."""
    command: Callable[[str], list[str]]
    read: Callable[[Outcome, Stage, str, Verdict], None]
    users_only: bool = False
    """Whether only a user's own text is worth the question."""
    beside: str = ""
    """A directory (with a slash at its end): the question is worth its time only if something in it has changed."""
    comments_only: bool = True
    """Whether a file of comments is worth the question."""

    always_at_a_start: bool = False
    """Whether `beside` counts only while the server runs."""

    def concerns(self, stage: Stage, root: Root, *, changes_only: bool = True) -> bool:
        """Return whether there is something to check."""
        found = (file for path, file in stage.files.items() if path.startswith(self.needs))
        if not any(file.origin is not None or not self.users_only for file in found):
            return False
        if not self.comments_only and not re.search(rb"^[^#\s]", stage.files[self.needs].content, re.MULTILINE):
            return False
        asked = self.always_at_a_start and not changes_only
        return asked or not self.beside or self._has_changed(stage, root)

    def _has_changed(self, stage: Stage, root: Root) -> bool:
        """Return whether what is staged is not what is installed; what packages left as an example is no file."""
        installed = [self.needs + name for name in root.listing(self.needs) if not name.endswith(".example")]
        staged = (file for path, file in stage.files.items() if path.startswith(self.beside))
        gone = any(path not in stage.files for path in installed)
        return gone or any(root.read(file.path) != file.content for file in staged)


_COMPILE: Final = r"""
local $/; open(my $file, '<', $ARGV[0]) or die; my $text = <$file>;
$text =~ s/^\s*use\s+strict\b[^;]*;/;/mg; $text =~ s/^__(END|DATA)__\b.*//ms;
eval "sub read_hash; sub new_RE; sub read_text; sub read_array; sub {\n#line 1 \"AMAVIS\"\n$text\n\n=pod\n\n=cut\n\n}";
print STDERR $@; exit($@ ? 1 : 0);
"""
"""Compiles a file without running it. Amavis declares the variables: which names there are cannot be told here."""


def _sievec(script: str) -> Checker:
    """Compile a script of the user's; `-d … -` writes to the standard output instead of beside it."""
    return Checker(
        script,
        lambda directory: [
            "sievec",
            "-x",
            _global_extensions(directory),
            "-c",
            directory + DOVECOT_CONF,
            "-d",
            directory + script,
            "-",
        ],  # fmt: skip
        complaints.read_sievec,
        True,
    )


def _global_extensions(directory: str) -> str:
    """Return what lets sievec(1) compile as Dovecot does: `sieve_global_extensions` is nothing that it reads."""
    texts = []
    for name in ("conf.d/90-sieve.conf", "local.conf"):
        try:
            with open(f"{directory}/etc/dovecot/{name}", encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        except FileNotFoundError:
            continue
    found = re.findall(r"^\s*editheader\s*=\s*(\w+)", "\n".join(texts), re.MULTILINE)
    return "+vnd.dovecot.pipe +vnd.dovecot.filter" + (" +editheader" if found and found[-1] == "yes" else "")


_REGEXP_FILE: Final = "/etc/postfix/regexp"

CHECKERS: Final = (
    Checker(MAIN_CF, lambda directory: ["postconf", "-c", f"{directory}/etc/postfix", "-n"], complaints.read_postconf),
    Checker(
        ALIASES,
        # Without main.cf: what is wrong there has nothing to do with aliases.
        lambda directory: ["postalias", "-c", BARE_POSTFIX, f"hash:{directory}{ALIASES}"],
        complaints.read_postalias,
    ),
    # The user's own file, whose lines he knows; a key that no expression matches makes postmap(1) read all of them.
    Checker(
        _REGEXP_FILE,
        lambda directory: ["postmap", "-c", BARE_POSTFIX, "-q", "", f"pcre:{VOLUME}/{REGEXP}"],
        complaints.read_postmap,
        comments_only=False,
    ),
    Checker(
        amavis.USER, lambda directory: ["perl", "-e", _COMPILE, directory + amavis.USER], complaints.read_perl, True
    ),
    Checker(
        amavis.USER,
        amavis.command,
        complaints.read_amavis,
        True,
        f"{amavis.DIRECTORY}/",
        always_at_a_start=True,
        comments_only=False,
    ),
    Checker(postgrey.DIRECTORY, postgrey.command, complaints.read_postgrey, True),
    Checker(
        getmail.DIRECTORY, getmail.command, complaints.read_getmail, True, getmail.DIRECTORY, always_at_a_start=True
    ),
    Checker(spamassassin.RULES, spamassassin.command, complaints.read_spamassassin, True),
    Checker(
        RC,
        lambda directory: ["fetchmail", "--version", "--fetchmailrc", directory + RC],
        complaints.read_fetchmail,
        True,
    ),
    Checker(
        f"{fail2ban.DIRECTORY}/",
        fail2ban.command,
        complaints.read_fail2ban,
        True,
        f"{fail2ban.DIRECTORY}/",
        always_at_a_start=True,
    ),
    _sievec(BEFORE_SIEVE),
    _sievec(AFTER_SIEVE),
    Checker(
        DOVECOT_CONF, lambda directory: ["doveconf", "-n", "-c", f"{directory}{DOVECOT_CONF}"], complaints.read_doveconf
    ),
    Checker(session.LOCAL_CONF, session.command, complaints.read_session, users_only=True, comments_only=False),
    Checker(
        RSPAMD_OVERRIDES,
        lambda directory: [
            "rspamadm",
            f"--var=CONFDIR={directory}/etc/rspamd",
            f"--var=LOCAL_CONFDIR={directory}/etc/rspamd",
            "configtest",
            "--config",
            f"{directory}/etc/rspamd/rspamd.conf",
        ],
        complaints.read_rspamadm,
        beside="/etc/rspamd/",  # it asks name servers: where those are silent, it takes half a minute
    ),
)
