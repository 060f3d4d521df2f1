"""What a dozen real configurations become, line by line (tests/golden), and that the daemons' checkers accept it.

A difference shows up as one: look at it, and if it is meant, write the files anew with

    GOLDEN=write .venv/bin/pytest tests/image/test_golden.py
"""

import os
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.image.harness import ROOT, Containers

GOLDEN: Final = ROOT / "tests" / "golden"
CASES: Final = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
SERVICES: Final = (
    "import json, sys; "
    "plans = [one for one in map(json.loads, open(sys.argv[1])) if one['type'] == 'plan']; "
    "print(*sorted(one['name'] for one in plans[0]['plan']['services'] if one.get('enabled', True)), sep='\\n')"
)
SCRIPT: Final = f"""
set -e
dmsctl render --check > /dev/null
dmsinit render --boot < /dev/null > /tmp/messages 2> /tmp/log || {{ cat /tmp/log; exit 1; }}
part() {{ printf '\\n===== %s\\n' "$1"; shift; "$@"; }}
part warnings sed -E 's/^[^ ]+ +(WARN|ERROR) +dmsinit: /\\1 /; /^[0-9]/d' /tmp/log
part services python3 -c "{SERVICES}" /tmp/messages
part main.cf postconf -n
part master.cf postconf -M
part 'master.cf, parameters' postconf -P
doveconf() {{ if [ -e /etc/dovecot/conf.d/10-auth.conf ] && grep -q dmsinit /etc/dovecot/dovecot.conf; then
    command doveconf -n; fi; }}
part dovecot doveconf
for file in /etc/postfix/{{vhost,vmailbox,virtual,regexp,relayhost_map,sasl_passwd,ldap-users.cf,ldap-groups.cf}} \\
    /etc/aliases /etc/dovecot/userdb /etc/dovecot/masterdb /etc/opendkim/TrustedHosts \\
    /etc/fetchmailrc /etc/fetchmailrc.d/* /etc/getmailrc.d/*; do
    [ ! -s $file ] || part $file grep -v '^#' $file || true
done
newaliases -oA/etc/aliases > /dev/null 2>&1 || true
postfix check > /dev/null
"""
VARIABLE: Final = (
    (re.compile(r"^(# .*|.*dovecot_config_version.*|.*dovecot_storage_version.*)\n", re.MULTILINE), ""),
    (re.compile(r"\b10\.\d+\.\d+\.\d+/\d+"), "CONTAINER-NETWORK"),
    (re.compile(r"\$6\$imagetests\$[./A-Za-z0-9]+"), "HASH"),
)
"""What differs from one run or machine to the next."""


def rendered(containers: Containers, case: str, folder: Path) -> str:
    """Return everything that a configuration becomes."""
    shutil.copytree(GOLDEN / case / "config", folder / "config")
    options = ["--hostname", "mail.example.test", "--env-file", str(GOLDEN / case / "env")]
    if (GOLDEN / case / "mounts").exists():
        shutil.copytree(GOLDEN / case / "mounts", folder / "mounts")
        for mount in (folder / "mounts").iterdir():
            options += ["--volume", f"{mount}:/etc/{mount.name}"]
    done = containers.command("bash", "-c", SCRIPT, config=folder / "config", options=options)
    assert done.code == 0, done.output
    text = done.output
    for pattern, replacement in VARIABLE:
        text = pattern.sub(replacement, text)
    return text.strip() + "\n"


def test_there_is_a_dozen() -> None:
    assert len(CASES) >= 12


@pytest.mark.parametrize("case", CASES)
def test_configuration_becomes_what_it_became(containers: Containers, case: str, tmp_path: Path) -> None:
    text = rendered(containers, case, tmp_path)
    expected = GOLDEN / case / "rendered.txt"
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(text)
    assert text == expected.read_text()
