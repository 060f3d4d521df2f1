"""What checkers said, sorted by what follows from it."""

from dataclasses import dataclass, field

from dmsinit.problem import Problem


@dataclass
class Verdict:
    """What the checkers said: problems forbid the installation."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)
    """Problems that are none if user-patches.sh makes a file."""
    absent: list[Problem] = field(default_factory=list)
    """Files that Dovecot does not start without; user-patches.sh may make them, and a check may run where none are."""
    tables: list[Problem] = field(default_factory=list)
    """Entries of OpenDKIM's tables with which mail would be deferred, unless user-patches.sh provides what they name;
    while the server runs, only of tables that have changed."""
    jails: list[Problem] = field(default_factory=list)
    """Jails of Fail2ban that do not work, unless user-patches.sh makes what they name."""
