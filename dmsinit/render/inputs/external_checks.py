"""Checking away from the server: in a container of its own, such as the CI of somebody's configuration repository.

There the host name is a container's, and certificates are not mounted. Neither is a mistake in the configuration.
"""

import os
from collections.abc import Mapping
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.tls.ssl_type import Choice
from dmsinit.settings import Settings

ASSUMED_NAME: Final = "mail.example.test"
"""RFC 2606 reserves it: nobody can take it for a real one."""


def assumed_name(found: str, environ: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """Return the name to check with, and a warning when it had to be made up."""
    if "." in found or environ.get("OVERRIDE_HOSTNAME") or environ.get("OVERRIDE_HOSTNAME__FILE"):
        return found, []
    cause = f"{found!r} has no domain, so this check assumes {ASSUMED_NAME}"
    return ASSUMED_NAME, [Problem("hostname", cause, "give the server's name with --hostname")]


def excuse_certificates(choice: Choice, settings: Settings, root: Root) -> None:
    """Make warnings of missing certificates whose whole directory is not mounted here."""
    if settings.ssl_type == "letsencrypt":
        folders = ["/etc/letsencrypt"]
    elif settings.ssl_type == "manual":
        given = (settings.ssl_cert_path, settings.ssl_key_path, settings.ssl_alt_cert_path, settings.ssl_alt_key_path)
        folders = [os.path.dirname(path) for path in given if path and not path.startswith(f"{VOLUME}/")]
    else:
        return
    if not folders or any(root.exists(folder) for folder in folders):
        return
    remedy = "mount them here too to have them checked"
    choice.warnings += [Problem(one.where, f"{one.cause} here", remedy) for one in choice.problems]
    choice.problems.clear()
