"""Whose file is it?"""

import pytest

from dmsinit.plan import Change, Service
from dmsinit.render.services.owners import changes_of


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/etc/postfix/**", "/etc/postfix/maps/x.pcre", True),
        ("/etc/postfix/**", "/etc/postfix-other/x", False),
        ("/etc/dovecot/*.conf", "/etc/dovecot/local.conf", True),
        ("/etc/dovecot/*.conf", "/etc/dovecot/conf.d/a.conf", False),
        ("/etc/**/x", "/etc/x", True),
        ("/etc/**/x", "/etc/a/b/x", True),
        ("/etc/a?", "/etc/ab", True),
        ("/etc/a.b", "/etc/axb", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    service = Service(name="one", command=("x",), files=(pattern,))
    assert changes_of({path: "modify"}, [service])[0].service == ("one" if matches else "")


def test_file_of_several_services_and_of_none() -> None:
    services = [
        Service(name="a", command=("x",), files=("/etc/shared", "/etc/a")),
        Service(name="b", command=("x",), files=("/etc/shared",)),
        Service(name="off", command=("x",), files=("/etc/shared",), enabled=False),
    ]
    assert changes_of({"/etc/shared": "create", "/etc/other": "delete"}, services) == [
        Change(path="/etc/shared", action="create", service="a"),
        Change(path="/etc/shared", action="create", service="b"),
        Change(path="/etc/other", action="delete", service=""),
    ]
