"""What services say before there is a Plan: logs and their rotation, with all errors at once."""

from dmsinit.problem import Problem
from dmsinit.render.overrides.copies import Override
from dmsinit.render.paths import TEMPLATE_CACHE, TEMPLATES
from dmsinit.render.services import facts, logs
from dmsinit.render.services.logs import LogFile, Rotation
from dmsinit.render.services.state import Folder, StateDirectory
from dmsinit.render.stage import Stage
from dmsinit.render.templates.jinja import Templates
from dmsinit.settings import load
from tests.unit.render.conftest import System


def read(system: System, problems: list[Problem] | None = None, **environ: str) -> facts.Facts:
    settings = load(environ, fqdn="mail.example.test").settings
    templates = Templates(system.root(TEMPLATES), system.root(TEMPLATE_CACHE), {})
    found: list[Problem] = []
    said = facts.read(system.root, templates, {"settings": settings}, found)
    if problems is None:
        assert found == []
    else:
        problems += found
    return said


def test_which_services_run(system: System) -> None:
    system.service("on", 'command = ["/x"]\n')
    system.service("off", 'command = ["/x"]\nenabled = "{{ enable_clamav }}"\n')
    system.service("many", 'each = "a b"\ncommand = ["/x"]\n')
    assert read(system).enabled == {"many": True, "many-a": True, "many-b": True, "off": False, "on": True}


LOG = """
command = ["/x"]
enabled = "{{ enable_clamav }}"
[[log]]
path = "/var/log/mail/x.log"
create = true
owner = "x"
link = "/var/log/x.log"
rotate = "{{ logrotate_interval }}"
keep = "{{ logrotate_count }}"
[[log]]
path = "/var/log/mail/y.log"
"""


def test_logs_of_services_that_run(system: System) -> None:
    system.service("x", LOG)
    assert read(system).logs == []
    weekly = Rotation("x", "weekly", 4)
    assert read(system, ENABLE_CLAMAV="1").logs == [
        LogFile("x", "/var/log/mail/x.log", weekly, create=True, owner="x", link="/var/log/x.log"),
        LogFile("x", "/var/log/mail/y.log", Rotation("x")),
    ]


def test_errors_have_the_line_of_their_table(system: System) -> None:
    system.service(
        "a", 'command = ["/x"]\n[[log]]\npath = "/a"\n[[log]]\nrotat = "daily"\n[[log]]\npath = "/b"\nkeep = "x"\n'
    )
    system.service("b", 'command = ["/x"]\nlog = "/b"\n')
    problems: list[Problem] = []
    read(system, problems)
    assert [f"{problem.where.rpartition('/')[2]}: {problem.cause}; {problem.remedy}" for problem in problems] == [
        "a.toml:5: there is no key log.rotat; did you mean rotate?",
        "a.toml:8: keep must be a whole number; write digits",
        "a.toml:4: [[log]] has no path; write it below",
        "b.toml:2: log must be tables; write [[log]] and keys below",
    ]


def test_logs_that_are_rotated_alike_share_a_block() -> None:
    stage = Stage()
    weekly = Rotation("x", "weekly", 2, truncate=False, then=("a", "b"))
    own = Rotation("x", "daily", 0, owner="u")
    files = [
        LogFile("x", "/1", weekly),
        LogFile("y", "/2", weekly),
        LogFile("x", "/3", own),
        LogFile("x", "/4", Rotation("x")),
    ]
    logs.stage(stage, files)
    assert stage.files["/etc/logrotate.d/x"].content.decode().splitlines()[1:] == [
        "/1", "/2", "{", "  weekly", "  rotate 2", "  compress", "  delaycompress", "  missingok", "  notifempty",
        "  sharedscripts", "  postrotate", "    a", "    b", "  endscript", "}",
        "/3", "{", "  su u u", "  daily", "  rotate 0", "  copytruncate", "  missingok", "  notifempty", "}",
    ]  # fmt: skip


STATE = """
each = "a b"
enabled = "{{ enable_clamav }}"
command = ["/x"]
[[state]]
path = "/var/lib/x"
owner = "x"
mode = "0750"
[[state]]
path = "/var/spool/x"
owner = "x"
group = "y"
top = { owner = "root", group = "z" }
folders = [{ name = "in", owner = "x", group = "x", mode = "0700" }]
when = "{{ enable_postgrey }}"
"""


def test_state_of_services_that_run_or_say_when(system: System) -> None:
    system.service("x", STATE)
    assert read(system).state == []
    (library,) = read(system, ENABLE_CLAMAV="1", ENABLE_POSTGREY="0").state
    assert library == StateDirectory("/var/lib/x", "lib-x", "x", "x", 0o750)
    (spool,) = read(system, ENABLE_POSTGREY="1").state
    folder = Folder("in", "x", "x", 0o700)
    assert spool == StateDirectory("/var/spool/x", "spool-x", "x", "y", top=("root", "z"), folders=(folder,))


OVERRIDES = """
command = ["/x"]
enabled = "{{ enable_clamav }}"
[[override]]
file = "x.cf"
target = "/etc/x/user.cf"
group = "x"
mode = "0640"
[[override]]
file = "x/"
target = "/etc/x/"
proof = "Table"
when = "{{ enable_postgrey }}"
"""


def test_overrides_of_services_that_run(system: System) -> None:
    system.service("x", OVERRIDES)
    assert read(system, ENABLE_POSTGREY="1").overrides == []
    assert read(system, ENABLE_CLAMAV="1", ENABLE_POSTGREY="1").overrides == [
        Override("x.cf", "/etc/x/user.cf", group="x", mode=0o640),
        Override("x", "/etc/x", tree=True, proof="Table"),
    ]
    assert len(read(system, ENABLE_CLAMAV="1").overrides) == 1
