"""What Fail2ban's client says of jails: texts of Fail2ban 1.1."""

from pathlib import Path

from dmsinit.render.check.fail2ban import USERS, findings, programs
from dmsinit.render.paths import Root
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Origin, Stage

JAILS = "[DEFAULT]\nbanaction = ufw\n[mine]\nenabled = true\nfilter = nosuch\n"
TIME = "2026-11-29 08:05:27,387 fail2ban.configreader   [39]: "
MISSING = (
    f"{TIME}ERROR   Found no accessible config files for 'filter.d/nosuch' under /s/etc/fail2ban\n"
    f"{TIME}ERROR   Unable to read the filter 'nosuch'\n{TIME}ERROR   Errors in jail 'mine'. Skipping...\n"
    f"{TIME}WARNING Have not found any log file for postfix jail\n"
)
ACTION = (
    "['multi-set', 'sieve', 'action', 'ufw', [['actionstart', ''], ['actionban', 'ufw deny <ip>'], ['name', 'x']]]\n"
)
WRONG = "['dmsinit cannot compile ', 'mine', 'missing ), unterminated subpattern']\n"


def staged() -> Stage:
    stage = Stage()
    stage.add(USERS[0], JAILS).origin = Origin(1, "fail2ban-jail.cf")
    return stage


def found(tmp_path: Path, stdout: str, stderr: str) -> tuple[list[str], list[str]]:
    problems, jails = findings(Outcome((), 0, stdout, stderr), staged(), "/s", Root(str(tmp_path)))
    return [str(problem) for problem in problems], [str(jail) for jail in jails]


def test_a_jail_that_does_not_work_is_named_with_its_line(tmp_path: Path) -> None:
    assert found(tmp_path, WRONG + ACTION, MISSING) == (
        [],
        [
            "fail2ban-jail.cf:3: the jail mine does not work: there is no filter nosuch; "
            "correct it, or provide what it names",
            "fail2ban-jail.cf:3: the jail mine does not work: an expression of its filter cannot be read: "
            "missing ), unterminated subpattern; correct it, or provide what it names",
            "fail2ban-jail.cf:1: the jail sieve does not work: its action ufw cannot ban: program not found: "
            "ufw; correct it, or provide what it names",
        ],
    )


def test_a_program_that_is_there_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/ufw").touch()
    assert found(tmp_path, ACTION, "") == ([], [])


def test_what_fail2ban_cannot_read_is_a_problem(tmp_path: Path) -> None:
    said = f"{TIME}ERROR   Failed during configuration: Source contains parsing errors: '/s{USERS[0]}'\n"
    said += "\t[line  2]: 'x\\n'\n"
    problems, _ = found(tmp_path, "ERROR: The configuration stream failed because of the invalid syntax.\n", said)
    assert problems == [
        "fail2ban-jail.cf:2: Fail2ban cannot read it, and would not start; "
        "write sections and name = value, see jail.conf(5)"
    ]


def test_programs_of_a_script() -> None:
    nftables = "<nftables> add set inet x <set> \\{ type ipv4_addr\\; flags interval\\; \\}\n<nftables> add rule tcp"
    assert programs(nftables, {"nftables": "nft -a"}) == ["nft"]
    iptables = "{ <iptables> -C f2b >/dev/null 2>&1; } || { <iptables> -N f2b || true; }\n"
    iptables += "for p in $(echo 'a;b'); do\nsed x\ndone"
    assert programs(iptables, {"iptables": "iptables <lock>", "lock": "-w"}) == ["iptables", "sed"]
    assert programs('if [ -n "" ] && ufw app info\nthen\nufw a\nfi', {}) == ["ufw"]
    assert programs("", {}) == []
