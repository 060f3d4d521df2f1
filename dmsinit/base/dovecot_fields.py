"""Fields of a user as Dovecot 2.3 had them, in the words of Dovecot 2.4: of a passwd-file, and of a directory.

They stand in the third column of postfix-accounts.cf and in DOVECOT_USER_ATTRS and DOVECOT_PASS_ATTRS. Dovecot 2.4
ignores a field that it does not know. A mailbox would be opened in another place and look empty, a quota be gone. What
has an equivalent is translated; everything else of 2.3 is refused with what to write instead. The tables are those of
Dovecot's guide (https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html).
"""

import re
from dataclasses import dataclass, field
from typing import Final

GUIDE: Final = "https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html"

DRIVERS: Final = frozenset({"maildir", "mbox", "sdbox", "mdbox", "imapc", "pop3c"})

LOCATION_KEYS: Final = {
    "INDEX": "mail_index_path",
    "INDEXPVT": "mail_index_private_path",
    "CONTROL": "mail_control_path",
    "INBOX": "mail_inbox_path",
    "ALT": "mail_alt_path",
    "LAYOUT": "mailbox_list_layout",
    "SUBSCRIPTIONS": "mailbox_subscriptions_filename",
    "VOLATILEDIR": "mail_volatile_path",
}
"""Options of mail_location (`maildir:PATH:KEY=VALUE`) and the settings that replaced them."""

_RENAMED: Final = {
    "acl_anyone": "imap_acl_allow_anyone",
    "lazy_expunge": "lazy_expunge_mailbox",
    "quota_max_mail_size": "quota_mail_size",
    "quota_grace": "quota_storage_grace",
    "quota_over_flag": "quota_over_status_current",
    "quota_over_flag_value": "quota_over_status_mask",
}

_REFUSED: Final = {
    "acl": "write acl_driver = vfile in dovecot.cf",
    "fts": "write fts NAME { } in dovecot.cf",
    "mail_plugins": "write userdb_mail_plugins/NAME=yes for each plugin",
    "quota": "delete it: quotas are always counted",
    "quota2": "delete it: quotas are always counted",
    "sieve": "write userdb_sieve_script/personal/active_path=FILE",
    "sieve_after": "write sieve_script after { type = after, path = FILE } in dovecot.cf",
    "sieve_before": "write sieve_script before { type = before, path = FILE } in dovecot.cf",
    "sieve_default": "write sieve_script default { type = default, path = FILE } in dovecot.cf",
    "sieve_dir": "write userdb_sieve_script/personal/path=DIRECTORY",
    "sieve_global_dir": "write sieve_script global { type = global, path = DIRECTORY } in dovecot.cf",
    "sieve_global_path": "write sieve_script default { type = default, path = FILE } in dovecot.cf",
}
"""Fields (without `userdb_`) that became something else → what to write."""

_FIELD: Final = re.compile(r"userdb_([^=\s]+)(?:=(.*))?")
_QUOTA_RULE: Final = re.compile(r"quota_rule\d*")
_QUOTA_WARNING: Final = re.compile(r"quota_warning\d*")
_AMOUNT: Final = re.compile(r"(\d+)([BkKMGT]?)")
_VARIABLE: Final = re.compile(r"%(L?)([undh])(?![A-Za-z{])")

_EXPRESSION: Final = re.compile(r"%\{[^}]*\}")
_HELD: Final = re.compile(r"\0(\d+)\0")
_LDAP_DEFAULT: Final = re.compile(r"%\{ldap:([^}:|\s]+):([^}:|']*)\}")
_LONG_VARIABLE: Final = re.compile(r"%\{(username|domain)\}")
_LEGACY_VARIABLE: Final = re.compile(r"%([LU]?)([und])(?![a-z{])")
_LEGACY_NAMES: Final = {"u": "user", "n": "user | username", "d": "user | domain"}
_LEGACY_CASES: Final = {"": "", "L": " | lower", "U": " | upper"}


class Untranslatable(Exception):
    """A field has no equivalent; the message says what to write instead."""


@dataclass
class Translation:
    """The fields for Dovecot 2.4, those that were changed (old → new), and those that have no equivalent (→ remedy)."""

    fields: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return " ".join(self.fields)


def attribute(attribute: str, field: str, template: str) -> dict[str, str]:
    """Return the fields (name → value) that `attribute=field=template` of user_attrs or pass_attrs is today.

    Without a template the value is that of the attribute, which is called `%$` in a template. Raises Untranslatable.
    """
    source = f"%{{ldap:{attribute}}}" if attribute else ""
    if "%$" in template and not source:
        raise Untranslatable("name the attribute that %$ stands for: attribute=field=template")
    value = modern_variables(template.replace("%$", source)) if template else source
    prefix = "userdb_" if field.startswith("userdb_") else ""
    name = field.removeprefix("userdb_")
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match[0])
        return f"\0{len(held) - 1}\0"

    plain = _EXPRESSION.sub(hold, value)
    if name == "mail" and template:
        fields = location(plain)
    elif name == "mail":
        fields = {"mail_path": plain}
    elif _QUOTA_RULE.fullmatch(name):
        fields = _quota_of_attribute(plain)
    elif name in _REFUSED or _QUOTA_WARNING.fullmatch(name):
        raise Untranslatable(
            _REFUSED.get(name, "write quota_warning NAME { } in dovecot.cf").replace("userdb_", prefix)
        )
    else:
        fields = {_RENAMED.get(name, name): plain}
    return {prefix + key: _HELD.sub(lambda match: held[int(match[1])], text) for key, text in fields.items()}


def _quota_of_attribute(rule: str) -> dict[str, str]:
    if match := re.fullmatch(r"\*:(storage|bytes)=(\0\d+\0)([BkKMGT]?)", rule):
        return {"quota_storage_size": match[2] + (match[3] or ("B" if match[1] == "bytes" else "k"))}
    try:
        return quota(rule)
    except Untranslatable:
        raise Untranslatable("write attribute=quota_storage_size, with a size such as 5G in the directory") from None


def modern_variables(text: str) -> str:
    """Return a text with variables of Dovecot 2.3 (`%u`, `%Ld`, `%{domain}`, `%{ldap:a:b}`) in the notation of 2.4."""
    text = _LDAP_DEFAULT.sub(lambda match: f"%{{ldap:{match[1]} | default('{match[2]}')}}", text)
    text = _LONG_VARIABLE.sub(lambda match: f"%{{user | {match[1]}}}", text)
    return _LEGACY_VARIABLE.sub(lambda found: f"%{{{_LEGACY_NAMES[found[2]]}{_LEGACY_CASES[found[1]]}}}", text)


def translate(extra: str, address: str) -> Translation:
    """Return the third column of the account `address` in the words of Dovecot 2.4."""
    result = Translation()
    for word in extra.split():
        match = _FIELD.fullmatch(word)
        try:
            new = _modern(match[1], match[2] or "", address) if match else [word]
        except Untranslatable as reason:
            result.refused[word] = str(reason)
            continue
        result.fields += new
        if new != [word]:
            result.changed[word] = " ".join(new)
    return result


def location(text: str) -> dict[str, str]:
    """Return the settings that a mail_location of Dovecot 2.3 is today; raises Untranslatable.

    `maildir:~/Maildir:INDEX=/x` → mail_driver, mail_path, mail_index_path.
    """
    driver, colon, rest = text.partition(":")
    driver = {"dbox": "sdbox", "Maildir": "maildir"}.get(driver, driver)
    if not colon or driver not in DRIVERS:
        raise Untranslatable(
            "write userdb_mail_driver=maildir and userdb_mail_path=PATH, with the driver of the mailbox"
        )
    path, *options = rest.split(":")
    settings = {"mail_driver": driver, "mail_path": path}
    for option in options:
        key, equals, value = option.partition("=")
        if key not in LOCATION_KEYS or not equals:
            raise Untranslatable(f"write userdb_mail_path={path}, and the setting for {option} as in {GUIDE}")
        settings[LOCATION_KEYS[key]] = value
    return settings


def quota(rule: str) -> dict[str, str]:
    """Return the settings that a quota_rule of Dovecot 2.3 is today; raises Untranslatable."""
    mailbox, *limits = rule.split(":")
    settings: dict[str, str] = {}
    for limit in limits if mailbox == "*" else ():
        kind, _, size = limit.partition("=")
        amount = _AMOUNT.fullmatch(size)
        if kind == "storage" and amount:
            # Without a unit it was in KiB. 0 was no limit.
            settings["quota_storage_size"] = f"{amount[1]}{amount[2] or 'k'}" if int(amount[1]) else "0"
        elif kind == "bytes" and amount:
            settings["quota_storage_size"] = f"{amount[1]}{amount[2] or 'B'}" if int(amount[1]) else "0"
        elif kind == "messages" and size.isdecimal():
            settings["quota_message_count"] = size if int(size) else "unlimited"
        else:
            settings = {}
            break
    if not settings:
        raise Untranslatable(
            "write userdb_quota_storage_size=SIZE or userdb_quota_message_count=NUMBER, or for one folder "
            "mailbox NAME { quota_storage_extra = SIZE } in dovecot.cf"
        )
    return settings


def _modern(name: str, value: str, address: str) -> list[str]:
    """Return the fields that replace `userdb_name=value`."""
    if name in ("mail", "mail_location"):
        return _written({key: _filled_in(text, address) for key, text in location(value).items()})
    if _QUOTA_RULE.fullmatch(name):
        return _written(quota(value))
    if _QUOTA_WARNING.fullmatch(name):
        raise Untranslatable("write quota_warning NAME { } in dovecot.cf")
    if name in _REFUSED:
        raise Untranslatable(_REFUSED[name])
    if name.startswith("plugin/"):
        return _modern(name.removeprefix("plugin/"), value, address)
    return _written({_RENAMED.get(name, name): _filled_in(value, address)})


def _written(settings: dict[str, str]) -> list[str]:
    return [f"userdb_{name}={value}" if value else f"userdb_{name}" for name, value in settings.items()]


def _filled_in(text: str, address: str) -> str:
    """Return a value with %u, %n and %d of Dovecot 2.3 as what they stand for; %h is the home."""
    local_part, _, domain = address.rpartition("@")
    values = {"u": address, "n": local_part, "d": domain, "h": "~"}
    return _VARIABLE.sub(lambda match: values[match[2]], text)
