"""What spamassassin(1) says of a user's own rules, spamassassin-rules.cf.

Amavis says nothing of lines that SpamAssassin cannot read, and works without them: they are told as warnings.
"""

import re
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.stage import StagedFile

RULES: Final = "/etc/spamassassin/spamassassin-rules.cf"
_AT_LINE: Final = re.compile(r" warn: config: (.*?) in (\S+) \(line (\d+)\): ")
_REGEXP: Final = re.compile(r" warn: config: (invalid regexp) for (\w+) (.*)")
_REMEDY: Final = "correct this line, see Mail::SpamAssassin::Conf(3pm)"


def command(directory: str) -> list[str]:
    """Return the question about the rules staged in `directory`.

    They are read as a user's preferences, after the plugins of /etc/spamassassin and the few rules there: without the
    thousands of others, whose reading takes a second.
    """
    return ["spamassassin", "--lint", "-C", "/etc/spamassassin", "-p", directory + RULES]


def complaints(said: str, file: StagedFile, directory: str, plugins: bool) -> list[Problem]:
    """Return what was `said` of the staged `file`; `plugins` tells whether others will be loaded than are installed."""
    problems = []
    for line in said.splitlines():
        if match := _AT_LINE.search(line):
            cause, path, number = match.group(1), match.group(2), int(match.group(3))
            unknown = cause.startswith("failed to parse")
            if path != directory + RULES or (unknown and plugins):
                continue
            text = "SpamAssassin does not know what this line says" if unknown else f"SpamAssassin finds an {cause}"
            problems.append(Problem(file.source(number), text, _REMEDY))
        elif match := _REGEXP.search(line):
            cause, rule, detail = match.groups()
            if number := _line_of(rule, file):
                text = f"SpamAssassin finds an {cause} of {rule}: {detail}"
                problems.append(Problem(file.source(number), text, _REMEDY))
    return problems


def _line_of(rule: str, file: StagedFile) -> int:
    """Return the line (from 1) that gives `rule` its expression, 0 when there is none."""
    text = file.content if isinstance(file.content, str) else file.content.decode(errors="replace")
    lines = enumerate(text.split("\n"), 1)
    return next((number for number, line in lines if re.match(rf"\s*(?!describe|score)[a-z]+\s+{rule}\s", line)), 0)
