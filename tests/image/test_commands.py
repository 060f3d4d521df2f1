"""Commands in the image that scripts and old recipes call by name."""

import base64
import json
import re
from collections.abc import Iterator

from tests.image.harness import ROOT, Server


def shown() -> Iterator[str]:
    """Yield the commands that documentation and man page show for the inside of the container, words of a shell."""
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        yield from re.findall(r"docker (?:compose )?exec (?:-\S+ )*mailserver ([a-z][^`#\n]*)", text)
        yield from re.findall(
            r"^# ([a-z].*?)(?: {2,}|$)", "".join(re.findall(r"```console\n(.*?)```", text, re.S)), re.M
        )
    examples = (ROOT / "docs" / "man" / "dmsctl.8").read_text().partition(".SH EXAMPLES\n.nf\n")[2].partition(".fi")[0]
    yield from examples.replace("\\-", "-").splitlines()


def test_every_program_that_the_documentation_shows_is_in_the_image(server: Server) -> None:
    commands = [re.sub(r"'[^']*'", "''", command) for command in shown()]
    parts = (part.split() for command in commands for part in re.split(r"\s*(?:\|\|?|&&|;)\s*", command))
    programs = {words[0] for words in parts if words}
    programs |= {command.partition("xargs -r ")[2].split()[0] for command in commands if "xargs -r " in command}
    assert {"dmsctl", "setup", "grep", "curl"} <= programs
    absent = server.run(
        "bash", "-c", 'for name; do type "$name" > /dev/null 2>&1 || echo "$name"; done', "-", *programs
    )
    assert absent.output.split() == []


def test_print_environment(server: Server) -> None:
    printed = server.checked("print-environment", "PERMIT_DOCKER", "SSL_TYPE")
    assert [line.split()[:2] for line in printed.splitlines()[1:]] == [
        ["PERMIT_DOCKER", "none"],
        ["SSL_TYPE", "self-signed"],
    ]


def test_acme_extract(server: Server) -> None:
    encoded = {name: base64.b64encode(f"the {name}\n".encode()).decode() for name in ("key", "certificate")}
    store = {"letsencrypt": {"Certificates": [{"domain": {"main": "a.example.test"}, **encoded}]}}
    asked = 'cat > /tmp/acme.json; acme_extract.py /tmp/acme.json a.example.test "$1"'
    for option, printed in (("--key", "the key\n"), ("--cert", "the certificate\n")):
        assert server.run("sh", "-c", asked, "ask", option, stdin=json.dumps(store)).output == printed
    assert server.run("acme_extract.py", "/tmp/acme.json", "b.example.test", "--key").code == 1


def test_old_init_scripts_restart_what_is_supervised(crash_server: Server) -> None:
    for name in ("opendkim", "opendmarc"):
        before = crash_server.pids()[name]
        crash_server.checked(f"/etc/init.d/{name}", "restart")
        after = crash_server.services()[name]
        assert (after["state"], after["pid"] == before) == ("ready", False)
        assert crash_server.checked("pgrep", "-x", name).split() == [str(after["pid"])]


def test_no_init_script_starts_a_second_daemon(crash_server: Server) -> None:
    listed = crash_server.checked("ls", "/etc/init.d").split()
    before = crash_server.pids()
    services = crash_server.services()
    for name in listed:
        status = crash_server.run(f"/etc/init.d/{name}", "status")
        assert status.code == 0, status.output
        if services[status.output.split()[0]]["state"] == "disabled":
            assert crash_server.run(f"/etc/init.d/{name}", "start").code == 1
    assert {"clamav-daemon", "redis-server", "rsyslog", "saslauthd"} <= set(listed)
    assert crash_server.pids() == before
    assert crash_server.run("pgrep", "-x", "redis-server|saslauthd|clamd|freshclam").code == 1


def test_the_job_of_four_o_clock_wipes_the_quarantine(crash_server: Server) -> None:
    folder = "/var/lib/amavis/virusmails"
    crash_server.checked("touch", "-d", "8 days ago", f"{folder}/old")
    crash_server.checked("touch", "-d", "6 days ago", f"{folder}/young")
    job = crash_server.checked("sh", "-c", "crontab -l | sed -n 's/^0 4 \\* \\* \\* //p'")
    assert crash_server.checked("env", "-i", "PATH=/usr/local/bin:/usr/bin", "sh", "-c", job) == ""
    assert crash_server.checked("find", folder, "-type", "f").split() == [f"{folder}/young"]
