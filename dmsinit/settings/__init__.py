"""The environment contract: every variable with its type, default and meaning, read into one frozen object.

`load(environ, fqdn=…)` returns `Loaded` (settings, and what to tell the user) or raises `SettingsRefused`, which holds
every problem at once. The variables themselves stand in `server`, `postfix`, `filters`, `dovecot` and `directory`;
names of the past in `former`.
"""

from dmsinit.problem import Severe
from dmsinit.settings.field import Field
from dmsinit.settings.former import FORMER, Former
from dmsinit.settings.host import FqdnMissing, domain_of
from dmsinit.settings.load import Loaded, SettingsRefused, load
from dmsinit.settings.model import FIELDS, Settings
from dmsinit.settings.shell import exports, settings_file

__all__ = [
    "FIELDS",
    "FORMER",
    "Field",
    "Former",
    "FqdnMissing",
    "Loaded",
    "Settings",
    "SettingsRefused",
    "Severe",
    "domain_of",
    "exports",
    "load",
    "settings_file",
]
