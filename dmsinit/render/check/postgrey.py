"""The check of Postgrey's lists: an expression that Perl cannot read ends it at every start."""

import re
from collections.abc import Iterator
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Stage

DIRECTORY: Final = "/etc/postgrey/"
_SCRIPT: Final = r"""
for (<"$ARGV[0]/etc/postgrey/*">) {
    my $file = $_;
    open(my $list, '<', $file) or next;
    while (<$list>) {
        s/#.*$//; s/^\s+//; s/\s+$//;
        if (m{^/(\S+)/$}) { eval { qr{$1}i }; print "$file:$.: $@" if $@ }
        elsif (/\s/) { print "$file:$. several\n" }
        elsif (m{^/} || (m{^[\d.]+/\d+$} && !defined NetAddr::IP->new($_))) { print "$file:$. unread\n" }
    }
}
"""
"""Reads lines as read_clients_whitelists() of postgrey does."""
_LINE: Final = re.compile(r"(/\S+):(\d+)(?: (several|unread)|: (.*?);? at -e line .*)")
_UNUSED: Final = {
    "several": ("is more than one name, so Postgrey does not use it", "write one on each line"),
    "unread": ("is neither an /expression/ nor a network, so Postgrey does not use it", "correct it"),
}


def command(directory: str) -> list[str]:
    """Return what reads the lists staged in `directory`."""
    return ["perl", "-MNetAddr::IP", "-e", _SCRIPT, directory]


def findings(outcome: Outcome, stage: Stage, directory: str) -> Iterator[tuple[bool, Problem]]:
    """Yield whether Postgrey would end, and why."""
    for line in outcome.stdout.splitlines():
        match = _LINE.fullmatch(line.replace(directory, ""))
        file = stage.files.get(match.group(1)) if match else None
        if match is None or file is None:
            continue
        where = file.source(int(match.group(2)))
        if match.group(4):
            cause = f"Postgrey does not start with this expression: {match.group(4)}"
            yield True, Problem(where, cause, "correct it, see perlre(1)")
        else:
            yield False, Problem(where, *_UNUSED[match.group(3)])
