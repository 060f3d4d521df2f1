"""What only a start of the container does around the files, and the mailboxes that every run makes."""

from collections.abc import Container
from typing import Final

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.inputs.context import Inputs
from dmsinit.render.paths import Root
from dmsinit.render.services import state
from dmsinit.render.services.facts import Facts
from dmsinit.render.start import loopback, mailboxes, prepare

_ACCOUNTS: Final = "/etc/dovecot/userdb"


class Start:
    """What only a start of the container does, in its order; slow searches run beside the rendering."""

    def __init__(self, inputs: Inputs, root: Root) -> None:
        settings = inputs.settings
        self._inputs, self._root = inputs, root
        self._uid, self._gid = settings.dms_vmail_uid, settings.dms_vmail_gid
        self._warnings = prepare.mail_directory(root, self._uid, self._gid)
        self._owners = mailboxes.OwnershipCheck(self._uid, self._gid, root)

    def before_files(self, facts: Facts) -> list[Problem]:
        """Repair what files and daemons rely on; return warnings."""
        root, settings = self._root, self._inputs.settings
        problems = prepare.vmail_ids(self._uid, self._gid, root)
        if problems:
            raise ProblemsFound(problems)
        prepare.stale_pid_files(root)
        state.note(root, [row.path for row in facts.state])
        loopback.acknowledge_at_once(self._inputs.host, root)
        return [
            *self._warnings,
            *prepare.shared_id(self._uid, root),
            *prepare.enterable(root),
            *prepare.time_zone(settings.tz, root),
            *prepare.logs(root, facts.logs),
            *state.consolidate(settings, root, facts.state),
        ]

    def after_files(self) -> list[Problem]:
        """Repair the owners of mailboxes and make those that are missing; return warnings."""
        return [*self._owners.repair(quiet=True), *_make_mailboxes(self._inputs, self._root)]


def after_change(inputs: Inputs, facts: Facts, changed: Container[str], root: Root) -> list[Problem]:
    """Repair the owners of mailboxes if accounts are among the changed files, make what is missing; return warnings.

    Missing are mailboxes, and the logs and state of services that came with the change.
    """
    warnings = [*prepare.make_logs(root, facts.logs), *state.keep_new(root, facts.state)]
    if _ACCOUNTS in changed:
        ids = inputs.settings.dms_vmail_uid, inputs.settings.dms_vmail_gid
        warnings += mailboxes.OwnershipCheck(*ids, root).repair()
    return [*warnings, *_make_mailboxes(inputs, root)]


def _make_mailboxes(inputs: Inputs, root: Root) -> list[Problem]:
    """Make the mailboxes that are missing, and install users' Sieve scripts; return warnings."""
    settings = inputs.settings
    if settings.account_provisioner != "FILE" or settings.smtp_only:
        return []
    ids = settings.dms_vmail_uid, settings.dms_vmail_gid
    below, report = mailboxes.home_below(settings.dovecot_mailbox_format), mailboxes.Report(root)
    scripted = mailboxes.with_scripts(inputs.volume.accounts, inputs.overrides)
    mailboxes.create(scripted, *ids, root, below, report, most=len(scripted))
    # New accounts come last in the file.
    mailboxes.create(reversed(inputs.volume.accounts), *ids, root, below, report)
    mailboxes.install_scripts(scripted, *ids, root, below, report)
    return report.warnings
