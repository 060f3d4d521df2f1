"""Settings of Dovecot 2.3 in dovecot.cf, each answered with what Dovecot 2.4 wants there instead.

Dovecot's own checker stops at the first line that it does not know, and says nothing at all of what it takes for plain
text (`%u`, `$mail_plugins`). Here all lines are told at once. The table is that of Dovecot's guide
(https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html), as far as it concerns what people put here.
"""

import os
import re
from collections.abc import Iterable
from typing import Final

from dmsinit.base.dovecot_fields import GUIDE, LOCATION_KEYS
from dmsinit.problem import Problem
from dmsinit.render.inputs import ldap_file
from dmsinit.render.paths import Root

DIRECTORY: Final = "/etc/dovecot"

RENAMED: Final = {
    "acl_anyone": "imap_acl_allow_anyone",
    "auth_default_realm": "auth_default_domain",
    "default_idle_kill": "default_idle_kill_interval",
    "idle_kill": "idle_kill_interval",
    "lazy_expunge": "lazy_expunge_mailbox",
    "mail_attachment_dir": "mail_ext_attachment_path",
    "mail_attachment_hash": "mail_ext_attachment_hash",
    "mail_attachment_min_size": "mail_ext_attachment_min_size",
    "quota_grace": "quota_storage_grace",
    "quota_max_mail_size": "quota_mail_size",
    "quota_over_flag": "quota_over_status_current",
    "quota_over_flag_lazy_check": "quota_over_status_lazy_check",
    "quota_over_flag_value": "quota_over_status_mask",
    "ssl_alt_cert": "ssl_server_alt_cert_file",
    "ssl_alt_key": "ssl_server_alt_key_file",
    "ssl_ca_dir": "ssl_client_ca_dir",
    "ssl_ca_file": "ssl_client_ca_file",
    "ssl_cert": "ssl_server_cert_file",
    "ssl_cert_username_field": "ssl_server_cert_username_field",
    "ssl_client_cert": "ssl_client_cert_file",
    "ssl_client_key": "ssl_client_key_file",
    "ssl_dh": "ssl_server_dh_file",
    "ssl_key": "ssl_server_key_file",
    "ssl_key_password": "ssl_server_key_password",
    "ssl_require_crl": "ssl_server_require_crl",
    "ssl_verify_client_cert": "ssl_server_request_client_cert",
    "fts_index_timeout": "fts_search_timeout",
    "fts_language_config": "textcat_config_path",
}
"""What only has another name; a value `<FILE` becomes FILE."""

REPLACED: Final = {
    "acl": "acl_driver = vfile",
    "auth_policy_server_timeout_msecs": "auth_policy { http_client_request_timeout = 2s }",
    "auth_worker_max_count": "service auth-worker { process_limit = 30 }",
    "fts": "fts NAME { }",
    "fts_autoindex_exclude": "mailbox NAME { fts_autoindex = no }",
    "fts_decoder": "fts_decoder_driver = script",
    "fts_enforced": "fts_search_add_missing and fts_search_read_fallback",
    "fts_languages": "language NAME { }",
    "fts_solr": "fts solr { url = http://… }",
    "imap_id_log": "nothing: it is gone",
    "login_access_sockets": "nothing: it is gone",
    "mail_attachment_fs": "mail_ext_attachment { fs NAME { } }",
    "mail_attribute_dict": "mail_attribute { dict NAME { } }",
    "push_notification_backend": "push_notification_driver",
    "quota_over_script": "quota_over_status { execute NAME { } }",
    "quota_set": "nothing: it is gone",
    "quota_vsizes": "nothing: it is always so",
    "sieve_after": "sieve_script after { type = after, path = FILE } (one setting a line)",
    "sieve_before": "sieve_script before { type = before, path = FILE } (one setting a line)",
    "sieve_default": "sieve_script default { type = default, path = FILE } (one setting a line)",
    "sieve_dir": "sieve_script personal { path = DIRECTORY }",
    "sieve_global_dir": "sieve_script global { type = global, path = DIRECTORY } (one setting a line)",
    "sieve_global_path": "sieve_script default { type = default, path = FILE } (one setting a line)",
    "ssl_ca": "ssl_server_ca_file (for clients' certificates) or ssl_client_ca_file",
    "ssl_protocols": "ssl_min_protocol = TLSv1.2",
    "verbose_ssl": "log_debug = category=ssl",
}
"""What became something else: an example of it."""

_VARIABLES: Final = {
    "u": "%{user}",
    "n": "%{user | username}",
    "d": "%{user | domain}",
    "h": "%{home}",
    "r": "%{remote_ip}",
    "l": "%{local_ip}",
    "a": "%{local_port}",
    "b": "%{remote_port}",
    "m": "%{mechanism}",
    "p": "%{client_pid}",
    "s": "%{protocol}",
    "w": "%{password}",
    "Lu": "%{user | lower}",
    "Ln": "%{user | username | lower}",
    "Ld": "%{user | domain | lower}",
}

_PLUGINS: Final = frozenset({"acl", "fts", "fts_solr", "lazy_expunge", "quota", "sieve"})
"""Old settings that are also plugins or protocols: members of `mail_plugins { }` and `protocols { }` since 2.4."""

_LISTS: Final = frozenset({"sieve_extensions", "sieve_global_extensions", "sieve_plugins", "mail_plugins", "protocols"})
"""Lists to which Dovecot 2.3 let people add; 2.4 takes `+NAME` for a name that it does not know."""

_BOOLEANS: Final = frozenset({"yes", "y", "true", "1", "no", "n", "false", "0"})

_LITERAL: Final = re.compile(r"log_timestamp|.*(?:password|secret|key)")
"""Settings whose percent signs are strftime(3)'s, or stand for themselves."""
_COMMENT: Final = re.compile(
    r"""(\S+\s*=\s*"(?:\\.|[^"\\])*"|\S+\s*=\s*'(?:\\.|[^'\\])*'|(?!\S+\s*=\s*["'])(?:(?!\s\#).)*)\s+\#.*"""
)
"""A line with a comment behind it: a number sign after a blank, not in a value in quotation marks."""

_XAPIAN: Final = re.compile(r"\b(?:fts_)?xapian")
_SETTING: Final = re.compile(r"\s*([A-Za-z_][\w/]*)\s*=\s*(.*?)\s*")
_SECTION: Final = re.compile(r"\s*(\w[\w-]*)\s*([^{]*?)\s*\{.*")
_VARIABLE: Final = re.compile(r"%(L?[a-z])(?![A-Za-z{])")


def scan_mounted(mounted: Iterable[str], root: Root) -> list[Problem]:
    """Return the problems of Dovecot's files that a user has mounted, alone or with their directory."""
    found = []
    for place in sorted(path for path in mounted if f"{path}/".startswith(f"{DIRECTORY}/")):
        inside = [f"{place}/{name}" for folder in ("", "conf.d/") for name in _names(f"{place}/{folder}", folder, root)]
        for path in inside if os.path.isdir(root(place)) else [place]:
            if path == ldap_file.PATH:
                continue  # Dovecot does not see it: its lines are read as variables
            if path.endswith((".conf", ".conf.ext")) and os.path.isfile(root(path)):
                found += scan(path, (root.read(path) or b"").decode("utf-8", "replace"))
    return found


def _names(directory: str, folder: str, root: Root) -> list[str]:
    return [folder + name for name in root.listing(directory)]


def scan(name: str, text: str) -> list[Problem]:
    """Return a problem for each line of the file `name` that is written as for Dovecot 2.3."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if match := _COMMENT.fullmatch(bare):
            bare = match.group(1)
        if bare and not bare.startswith("#") and (new := _in_new_words(bare)):
            cause, remedy = new
            found.append(Problem(f"{name}:{number}", f"{cause}; Dovecot is 2.4 here", remedy))
    return found


def _in_new_words(line: str) -> tuple[str, str] | None:
    """Return what is wrong with a line and what to write instead; None for one of Dovecot 2.4."""
    if _XAPIAN.search(line):
        return "full-text search by fts_xapian is not in this image", _flatcurve(line)
    section, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
    if section and (setting is None or line.index("{") < line.index("=")):
        return _section(*section.groups())
    if setting is None:
        return None
    return _setting(*setting.groups())


def _flatcurve(line: str) -> str:
    """Return what Debian's fts_flatcurve, which has Xapian's index as well, wants instead of a line for fts_xapian."""
    name, separator, value = (part.strip() for part in line.partition("="))
    if separator and "mail_plugins" in name:
        words = (word for word in value.replace(",", " ").split() if word != "$mail_plugins")
        plugins = dict.fromkeys(word.replace("fts_xapian", "fts_flatcurve") for word in words)
        return f"write {name} {{ {', '.join(f'{word} = yes' for word in plugins)} }}"
    if name == "fts_xapian" and value.lower() in _BOOLEANS:
        return f"write fts_flatcurve = {value}"
    return "write fts flatcurve { }, with substring_search = yes in it to find parts of words"


def _section(kind: str, name: str) -> tuple[str, str] | None:
    if kind == "plugin":
        return "plugin { } is of Dovecot 2.3", "write the settings in it without the section, each under its new name"
    if kind in ("passdb", "userdb") and not name:
        return f"a {kind} without a name is of Dovecot 2.3", f"write {kind} NAME {{ driver = … }}, see {GUIDE}"
    return None


def _setting(name: str, value: str) -> tuple[str, str] | None:
    if name in _PLUGINS and value.lower() in _BOOLEANS:
        return None
    spelling = f"{name} is of Dovecot 2.3"
    if name in RENAMED:
        shown = "…" if "password" in name else value.removeprefix("<").strip()
        return spelling, f"write {RENAMED[name]} = {shown}"
    if name in REPLACED:
        return spelling, f"write {REPLACED[name]}, see {GUIDE}"
    if special := _special(name, value):
        return spelling, f"write {special}"
    words = value.replace(",", " ").split()
    if name in _LISTS and any(word[0] in "+-" and len(word) > 1 for word in words):
        members = ", ".join(f"{word.lstrip('+-')} = {'no' if word[0] == '-' else 'yes'}" for word in words)
        return f"+ and - in {name} are of Dovecot 2.3", f"write {name} {{ {members} }} (one setting a line)"
    if "$mail_plugins" in value:
        words = [word for word in value.split() if word != "$mail_plugins"]
        return "$mail_plugins is of Dovecot 2.3", f"write {name} {{ {', '.join(f'{w} = yes' for w in words)} }}"
    old = [match.group(1) for match in _VARIABLE.finditer(value) if match.group(1) in _VARIABLES]
    if old and not _LITERAL.fullmatch(name):
        new = ", ".join(f"{_VARIABLES[letter]} for %{letter}" for letter in dict.fromkeys(old))
        return f"%{old[0]} is of Dovecot 2.3 and now plain text", f"write {new}"
    return None


def _special(name: str, value: str) -> str:
    """Return the new spelling of a setting whose value is written in another way, too."""
    if name == "disable_plaintext_auth":
        return f"auth_allow_cleartext = {'no' if value.lower() in ('yes', 'y', '1') else 'yes'}"
    if name == "ssl_prefer_server_ciphers":
        return f"ssl_server_prefer_ciphers = {'server' if value.lower() in ('yes', 'y', '1') else 'client'}"
    if name == "service_count":
        return f"restart_request_count = {'unlimited' if value == '0' else value}"
    if name in ("mail_location", "location"):
        return _location(value)
    if name == "quota":
        return "quota NAME { driver = count }"
    if re.fullmatch(r"quota_rule\d*", name):
        size = re.search(r"(?:storage|bytes)=(\S+?)(?::|$)", value)
        return f"quota_storage_size = {size.group(1) if size else 'SIZE'} (inside mailbox NAME {{ }} for one mailbox)"
    if re.fullmatch(r"quota_warning\d*", name):
        return "quota_warning NAME { quota_storage_percentage = 95, execute quota-warning { } } (one setting a line)"
    if name == "sieve":
        path, _, active = value.removeprefix("file:").partition(";active=")
        return f"sieve_script personal {{ path = {path}" + (f", active_path = {active} }}" if active else " }")
    return ""


def _location(value: str) -> str:
    driver, _, rest = value.partition(":")
    path, *options = rest.split(":")
    lines = [f"mail_driver = {driver}", f"mail_path = {_new_variables(path)}"]
    for option in options:
        key, _, text = option.partition("=")
        if key in LOCATION_KEYS:
            lines.append(f"{LOCATION_KEYS[key]} = {_new_variables(text)}")
    return " and ".join(lines)


def _new_variables(text: str) -> str:
    return _VARIABLE.sub(lambda match: _VARIABLES.get(match.group(1), match.group(0)), text)
