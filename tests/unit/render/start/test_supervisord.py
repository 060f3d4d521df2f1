"""Edits of supervisord's files by old user-patches.sh scripts."""

from pathlib import Path

import pytest

from dmsinit.plan import Service
from dmsinit.render.paths import RENDERED, Root
from dmsinit.render.start.supervisord import apply_edits

PATH = "/etc/supervisor/conf.d/saslauth.conf"
TEXT = "[program:saslauthd_rimap]\ncommand=/usr/sbin/saslauthd -d -a rimap -r -O 127.0.0.1\n"
COMMAND = ("/usr/sbin/saslauthd", "-d", "-a", "rimap", "-r", "-O", "127.0.0.1")
SERVICES = (Service(name="saslauthd_rimap", command=COMMAND), Service(name="cron", command=("/usr/sbin/cron", "-f")))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    for directory in ("", RENDERED):
        file = Path(f"{tmp_path}{directory}{PATH}")
        file.parent.mkdir(parents=True)
        file.write_text(TEXT)
    return Root(str(tmp_path))


def edit(root: Root, text: str, path: str = PATH) -> None:
    Path(root(path)).write_text(text)


def test_untouched_files_change_nothing(root: Root) -> None:
    assert apply_edits(SERVICES, root) == (SERVICES, [])


def test_the_recipe_of_the_faq(root: Root) -> None:
    edit(root, TEXT.replace("rimap -r", "rimap"))
    services, warnings = apply_edits(SERVICES, root)
    assert services[0].command == ("/usr/sbin/saslauthd", "-d", "-a", "rimap", "-O", "127.0.0.1")
    assert services[1] == SERVICES[1]
    assert [str(warning) for warning in warnings] == [
        f"{PATH}: its command of saslauthd_rimap was edited and is used; "
        "write services/saslauthd_rimap.toml in the config volume instead"
    ]


def test_a_new_program_is_told_the_new_way(root: Root) -> None:
    edit(root, "[program:bot]\ncommand=/opt/bot --now\n", "/etc/supervisor/conf.d/bot.conf")
    services, warnings = apply_edits(SERVICES, root)
    assert services == SERVICES
    assert "there is no service bot" in warnings[0].cause
    assert "services/bot.toml" in warnings[0].remedy


@pytest.mark.parametrize(
    "text", ["[program:saslauthd_rimap\n", "command=x\n", "[program:saslauthd_rimap]\ncommand='x\n"]
)
def test_nonsense_is_said_and_has_no_effect(root: Root, text: str) -> None:
    edit(root, text)
    services, warnings = apply_edits(SERVICES, root)
    assert services == SERVICES
    assert len(warnings) == 1
    assert "cannot be understood" in warnings[0].cause
