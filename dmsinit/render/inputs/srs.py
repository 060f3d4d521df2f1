"""The secret of PostSRSd: kept in the state volume, because rewritten addresses come back for weeks (postsrsd(8)).

/etc/postsrsd.secret holds one secret a line: the first signs, all verify. With a state volume it is a link to
/var/mail-state/etc/postsrsd.secret; releases up to 11 kept it in /var/mail-state/etc-postsrsd.
"""

import os
from base64 import b64encode
from typing import Final

from dmsinit.base.atomic import correct, make_directories, replace_file, replace_link
from dmsinit.problem import Problem
from dmsinit.render.paths import STATE, Root, mount_points
from dmsinit.settings import Settings

SECRET: Final = "/etc/postsrsd.secret"  # noqa: S105  a path
KEPT: Final = f"{STATE}/etc/postsrsd.secret"
FORMER: Final = f"{STATE}/etc-postsrsd/postsrsd.secret"
_RANDOM_BYTES: Final = 24
_MODE: Final = 0o600


def keep_secret(settings: Settings, root: Root) -> list[Problem]:
    """Have the secret in its place; return warnings. A file that somebody mounted there is left alone."""
    if not settings.enable_srs or SECRET in mount_points(root):
        return []
    place = KEPT if os.path.isdir(root(STATE)) else SECRET
    try:
        content = _content(settings, root, place)
        if content != root.read(place):
            make_directories(os.path.dirname(root(place)))
            replace_file(root(place), content, mode=_MODE)
        correct(root(place), *((0, 0) if os.geteuid() == 0 else (-1, -1)), _MODE)
        if place != SECRET and not (os.path.islink(root(SECRET)) and os.readlink(root(SECRET)) == place):
            replace_link(root(SECRET), place)
    except OSError as error:
        cause = f"the secret of SRS cannot be kept: {error.strerror} ({error.filename})"
        return [Problem(place, cause, "make it writable for root, or bounces of forwarded mail get lost")]
    return []


def _content(settings: Settings, root: Root, place: str) -> bytes:
    """Return the secrets that hold: SRS_SECRET, else those of former starts and releases, else a new one."""
    if settings.srs_secret:
        return "".join(f"{secret}\n" for secret in settings.srs_secret).encode()
    for path in (place, FORMER, SECRET):
        if (kept := root.read(path)) and kept.strip():
            return kept if kept.endswith(b"\n") else kept + b"\n"
    return b64encode(os.urandom(_RANDOM_BYTES)) + b"\n"
