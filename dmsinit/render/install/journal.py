"""What an installation is about to change: noted before the first file, so that a run that died is not forgotten.

The next run tells the daemons concerned; a note goes when somebody knows of it, or starts all daemons anew.
"""

import json
from collections.abc import Mapping

from dmsinit.base.atomic import remove, replace_file
from dmsinit.render.install.rollback import Kind
from dmsinit.render.paths import JOURNAL, Root


def note(changes: Mapping[str, Kind], root: Root) -> None:
    """Write down what is about to change, together with what an earlier run could not tell any more."""
    if changes:
        replace_file(root(JOURNAL), json.dumps({**noted(root), **changes}).encode(), mode=0o600)


def noted(root: Root) -> dict[str, Kind]:
    """Return what a run that died was about to change."""
    try:
        return dict(json.loads(root.read(JOURNAL) or b"{}"))
    except (OSError, ValueError):
        return {}


def forget(root: Root) -> None:
    """Forget what was about to change."""
    remove(root(JOURNAL))
