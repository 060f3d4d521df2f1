"""The check of what Dovecot reads when a session starts: a mailbox of nobody is listed with the staged configuration.

The home is an empty directory that is removed afterwards; no user is looked up, and no mailbox is made. Only what
Dovecot calls unknown or invalid counts: a driver that needs a network or a key proves nothing here.
"""

import re
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import StagedFile

LOCAL_CONF: Final = "/etc/dovecot/local.conf"
_SCRIPT: Final = """
grep -Eq 'imapc|pop3c' "$1/etc/dovecot/local.conf" && exit 0
home=$(mktemp -d) && chown docker "$home" || exit 0
USER=nobody@localhost HOME=$home timeout 10 doveadm -c "$1/etc/dovecot/dovecot.conf" -o mail_home="$home" \\
  -o mail_path="$home/mail" -o mail_uid=docker -o mail_gid=docker -o log_path=/dev/stderr \\
  -o stats_writer_socket_path= mailbox list --no-userdb-lookup
code=$?
rm -rf "$home"
exit $code
"""
_SAID: Final = re.compile(r"^doveadm\(\S*\): (?:Error|Fatal): (?:cmd mailbox list: )?(.*)", re.MULTILINE)
_COUNTS: Final = re.compile(r"\bUnknown \w|\bInvalid settings\b|\bFailed to parse configuration\b")
_VALUE: Final = re.compile(r"^[^#]*?(?:=\s*|\s)([\w./-]+)\s*\{?\s*$")


def command(directory: str) -> list[str]:
    """Return what lists the mailboxes with the configuration staged in `directory`."""
    return ["sh", "-c", _SCRIPT, "check", directory]


def problems(outcome: Outcome, file: StagedFile) -> list[Problem]:
    """Return what Dovecot said of the user's `file`, at the line with the value that it names."""
    found = []
    for said in _SAID.findall(outcome.stderr):
        if _COUNTS.search(said):
            cause = f"no session can start: {said}"
            found.append(Problem(file.source(_line(file, said)), cause, "correct it, see https://doc.dovecot.org/2.4/"))
    return found


def _line(file: StagedFile, said: str) -> int:
    """Return the line whose value comes last in what was `said`, or 0: the culprit is at its end."""
    words = re.findall(r"[\w./-]+", said)
    places = {word: place for place, word in enumerate(words)}
    found = [
        (places[match.group(1)], number)
        for number, line in enumerate(file.content.decode("utf-8", "replace").split("\n"), 1)
        if (match := _VALUE.match(line)) and match.group(1) in places
    ]
    return max(found, default=(0, 0))[1]
