"""Changes of the configuration while the server runs: which are noticed, and what becomes of those that fail."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, Server, account

ANNA = account(f"anna@{DOMAIN}")
DETECTOR_LOG = "/var/log/supervisor/changedetector.log"
COMPLETED = "Completed handling of detected change"


@pytest.fixture(scope="module")
def server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server whose config volume these tests change; each leaves it as it found it."""
    server = containers.start({"postfix-accounts.cf": ANNA}, tmp_path_factory.mktemp("apply")).wait_until_up()
    yield server
    server.remove()


def detector_log(server: Server) -> str:
    return server.checked("cat", DETECTOR_LOG)


@contextmanager
def handled(server: Server, word: str = COMPLETED) -> Iterator[None]:
    """Wait, after what the caller does, until the log of the change detection says `word` once more."""
    before = detector_log(server).count(word)
    yield
    server.until(f'[ "$(grep -c "{word}" {DETECTOR_LOG})" -gt {before} ]')


@contextmanager
def unnoticed(server: Server) -> Iterator[None]:
    """Assert that what the caller does starts nothing: a change that is made after it is the next one told."""
    before = detector_log(server).count("Change detected")
    yield
    with handled(server):
        aliases = server.config / "postfix-aliases.cf"
        aliases.write_text(aliases.read_text() + "\n" if aliases.exists() else "\n")
    assert detector_log(server).count("Change detected") == before + 1


def problems(server: Server) -> list[str]:
    return list(server.json("dmsctl", "status", "--json")["problems"])


def test_the_detector_tells_that_it_is_ready(server: Server) -> None:
    assert "Changedetector is ready (the kernel tells of changes)" in detector_log(server)
    assert server.services()["changedetector"]["state"] == "ready"


def test_a_change_has_a_beginning_and_an_end_in_the_log(server: Server) -> None:
    with handled(server), (server.config / "postfix-accounts.cf").open("a") as file:
        file.write("\n")  # behaviour 79: an empty line is a change
    lines = detector_log(server).splitlines()[-2:]
    assert "Change detected: postfix-accounts.cf" in lines[0]
    assert "0 files, no service concerned" in lines[1]
    snapshot = server.checked("cat", "/tmp/docker-mailserver-config-chksum")
    accounts = server.checked("sha512sum", "/tmp/docker-mailserver/postfix-accounts.cf")
    assert accounts in snapshot
    assert not (server.config / "check-for-changes.sh.lock").exists()


def test_the_log_comes_back_after_somebody_deleted_it(server: Server) -> None:
    server.checked("rm", DETECTOR_LOG)
    virtual = server.config / "postfix-virtual.cf"
    virtual.write_text(f"log@{DOMAIN} anna@{DOMAIN}\n")
    server.until(f"grep -q '{COMPLETED}' {DETECTOR_LOG}")
    with handled(server):
        virtual.unlink()


def test_other_files_wait_for_an_apply(server: Server) -> None:
    main = server.config / "postfix-main.cf"
    with unnoticed(server):
        (server.config / "user-patches.sh").write_text("exit 1\n")
        (server.config / "fail2ban-jail.cf").write_text("[DEFAULT]\n")
    main.write_text("max_idle = 55s\n")
    assert server.checked("postconf", "-h", "max_idle").strip() == "100s"
    diff = server.checked("dmsctl", "plan", "--diff")
    assert "+max_idle = 55s" in diff
    assert "reload  postfix" in diff
    assert "reload  postfix" in server.checked("dmsctl", "apply")
    assert server.checked("postconf", "-h", "max_idle").strip() == "55s"
    assert server.checked("dmsctl", "apply").startswith("nothing to do")
    for name in ("postfix-main.cf", "user-patches.sh", "fail2ban-jail.cf"):
        (server.config / name).unlink()
    server.checked("dmsctl", "apply")


def test_differences_show_no_secret(server: Server) -> None:
    (server.config / "postfix-sasl-password.cf").write_text(f"@{DOMAIN} user:geheim-1\n")
    (server.config / "postfix-relaymap.cf").write_text(f"@{DOMAIN} [relay.test]:587\n")
    server.checked("dmsctl", "apply")  # the detection may take two changes for one or for two
    with server_stopped_detecting(server):
        (server.config / "postfix-sasl-password.cf").write_text(f"@{DOMAIN} user:geheim-2\n")
        diff = server.checked("dmsctl", "plan", "--diff")
        assert "/etc/postfix/sasl_passwd: differs" in diff
        assert "geheim" not in diff
    (server.config / "postfix-relaymap.cf").unlink()
    (server.config / "postfix-sasl-password.cf").unlink()
    server.checked("dmsctl", "apply")


@contextmanager
def server_stopped_detecting(server: Server) -> Iterator[None]:
    server.checked("supervisorctl", "stop", "changedetector")
    try:
        yield
    finally:
        with handled(server):  # it looks once when it is started again
            server.checked("supervisorctl", "start", "changedetector")


def test_files_are_replaced_in_every_way_that_people_have(server: Server) -> None:
    virtual = server.config / "postfix-virtual.cf"

    def known(name: str) -> bool:
        return name in server.checked("cat", "/etc/postfix/virtual")

    with handled(server):  # an editor
        (server.config / ".virtual.swp").write_text(f"one@{DOMAIN} anna@{DOMAIN}\n")
        os.replace(server.config / ".virtual.swp", virtual)
    assert known("one@")
    virtual.unlink()  # git pull: unlink and create
    virtual.write_text(f"two@{DOMAIN} anna@{DOMAIN}\n")
    server.until("grep -q two@ /etc/postfix/virtual")
    server.checked("dmsctl", "apply")  # after which nothing is under way
    with handled(server):
        virtual.unlink()
    assert not known("two@")


def test_a_configmap_is_swapped(server: Server) -> None:
    volume = server.config

    def version(number: int) -> Path:
        folder = volume / f"..2026_{number}"
        folder.mkdir()
        (folder / "postfix-virtual.cf").write_text(f"swap-{number}@{DOMAIN} anna@{DOMAIN}\n")
        (volume / "..data_tmp").symlink_to(folder.name)
        os.replace(volume / "..data_tmp", volume / "..data")
        return folder

    old = version(1)
    with handled(server):
        (volume / "postfix-virtual.cf").symlink_to("..data/postfix-virtual.cf")
    assert "swap-1@" in server.checked("cat", "/etc/postfix/virtual")
    with handled(server):
        version(2)
        shutil.rmtree(old)
    assert "swap-2@" in server.checked("cat", "/etc/postfix/virtual")
    with handled(server):
        (volume / "postfix-virtual.cf").unlink()


@pytest.mark.parametrize(
    ("service", "definition"),
    [
        ("opendkim", 'command = ["/bin/false"]\n'),  # it does not start
        ("dovecot", '[ready]\nprobe = "tcp"\naddress = "inet:127.0.0.1:9"\ntimeout = "1s"\n'),  # it never answers
    ],
)
def test_what_does_not_work_is_taken_back(server: Server, service: str, definition: str) -> None:
    folder = server.config / "services"
    folder.mkdir()
    with handled(server, "not in force"):
        (server.config / "postfix-main.cf").write_text("max_idle = 56s\n")
        (folder / f"{service}.toml").write_text('description = "changed"\nenv = { CHANGED = "1" }\n' + definition)
    assert "is rolled back" in server.log()
    assert any("was rolled back" in problem and service in problem for problem in problems(server))
    assert server.checked("postconf", "-h", "max_idle").strip() == "100s"
    services = server.services()
    assert services[service]["state"] == "ready"
    assert services[service]["description"] != "changed"
    result = server.run("dmsctl", "apply")
    assert result.code == 1
    assert "was rolled back" in result.output
    assert 'dms_apply_total{result="failed"}' in server.checked("dmsctl", "metrics")
    (server.config / "postfix-main.cf").unlink()
    with handled(server):
        shutil.rmtree(folder)
    assert problems(server) == []
    server.checked("dmsctl", "health")


def test_what_would_leave_dovecot_without_logins_is_refused_before_it_is_installed(server: Server) -> None:
    """doveconf finds nothing wrong with a root directory or a certificate that does not exist."""
    server.checked("supervisorctl", "stop", "changedetector")
    started = server.services()["dovecot"]["pid"]
    for text, said in (
        ("service imap-login {\n  chroot = /nowhere\n}\n", "dovecot.cf:2: the directory '/nowhere' (chroot of service"),
        ("ssl_server {\n  cert_file = /nope.pem\n}\n", "dovecot.cf:2: the file '/nope.pem' does not exist"),
    ):
        (server.config / "dovecot.cf").write_text(text)
        result = server.run("dmsctl", "apply")
        assert result.code == 1, result.output
        assert said in result.output
        assert server.run("test", "-e", "/etc/dovecot/local.conf").code == 1
    assert server.services()["dovecot"]["pid"] == started
    (server.config / "dovecot.cf").unlink()
    server.checked("dmsctl", "apply")
    server.checked("supervisorctl", "start", "changedetector")
    with server.imap(f"anna@{DOMAIN}"):
        pass


def test_two_writers_at_once_lose_nothing(server: Server) -> None:
    """Accounts that `setup` adds while an apply is under way, and another apply is asked for."""
    before = detector_log(server).count(COMPLETED)
    add = "for n in 1 2 3 4; do setup email add many-$1-$n@example.test secret & done; dmsctl apply > /dev/null & wait"
    server.checked("bash", "-c", f"(set -- a; {add}) & (set -- b; {add}) & wait")
    names = {f"many-{letter}-{number}@{DOMAIN}" for letter in "ab" for number in range(1, 5)}
    wait = " && ".join(f"grep -q '^{name}:' /etc/dovecot/userdb" for name in sorted(names))
    server.until(wait)
    assert detector_log(server).count(COMPLETED) > before
    assert problems(server) == []
    with handled(server):
        (server.config / "postfix-accounts.cf").write_text(ANNA)


def test_previews_disturb_neither_an_apply_nor_each_other(server: Server) -> None:
    ask = "for n in 1 2 3; do for verb in apply plan 'plan --diff'; do dmsctl $verb & asked+=($!); done; done"
    server.checked("bash", "-c", f'{ask}; for one in "${{asked[@]}}"; do wait "$one" || exit; done')


def test_files_that_send_no_events_are_looked_at(server: Server) -> None:
    """The detector's own eyes, which it uses on network shares: run beside the one that waits for events."""
    plan = server.json("dmsctl", "plan", "--current", "--json")
    command = next(one for one in plan["services"] if one["name"] == "changedetector")["command"]
    place = "/tmp/share/postfix-accounts.cf"
    server.checked("bash", "-c", "mkdir -p /tmp/share && touch /tmp/share/postfix-accounts.cf")
    look = (
        '"$1" "looks every 0.2 s" 0.2 "$2" > /tmp/share/log & watcher=$!; '
        "until grep -q ready /tmp/share/log; do sleep 0.05; done; "
        "rm -f /run/dmsinit/config-changed; "
        "timeout 60 bash -c 'until [ -e /run/dmsinit/config-changed ]; do printf x >> /tmp/share/postfix-accounts.cf; "
        "sleep 0.3; done'; code=$?; "
        "kill $watcher; cat /tmp/share/log; exit $code"
    )
    result = server.run("bash", "-c", look, "look", command[0], f"{place}\n/tmp/share/services")
    assert result.code == 0, result.output
    assert "Changedetector is ready (looks every 0.2 s)" in result.output


def test_user_patches_that_change_watched_files_are_no_change(start: Start) -> None:
    files = {
        "postfix-accounts.cf": ANNA,
        "user-patches.sh": f"echo 'p@{DOMAIN} anna@{DOMAIN}' >> /tmp/docker-mailserver/postfix-virtual.cf\n",
    }
    server = start(files).wait_until_up()
    with handled(server), (server.config / "postfix-accounts.cf").open("a") as file:
        file.write("\n")
    assert detector_log(server).count("Change detected") == 1


def test_a_foreign_lock_is_waited_for(start: Start) -> None:
    server = start().wait_until_up()
    lock = server.config / "check-for-changes.sh.lock"
    lock.write_text("another container\n")
    os.utime(lock, (0, 0))  # older than a minute: whoever made it is gone
    with handled(server), (server.config / "postfix-accounts.cf").open("a") as file:
        file.write("\n")
    assert f"WARN  changedetector: removing stale lock file '/tmp/docker-mailserver/{lock.name}'" in detector_log(
        server
    )
    assert not lock.exists()


@pytest.fixture
def acme_store(tmp_path: Path, containers: Containers) -> Path:
    folder = tmp_path / "letsencrypt"
    folder.mkdir()
    return folder


def make_certificate(containers: Containers, folder: Path, name: str, directory: str) -> None:
    command = (
        f"mkdir -p /out/{directory} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 "
        f"-subj /CN={name} -keyout /out/{directory}/privkey.pem -out /out/{directory}/fullchain.pem"
    )
    made = containers.command("bash", "-c", command, options=["--volume", f"{folder}:/out"])
    assert made.code == 0, made.output


def shown(server: Server, port: int = 993) -> str:
    connect = f"openssl s_client -connect 127.0.0.1:{port} < /dev/null 2> /dev/null | openssl x509 -noout -fingerprint"
    return server.checked("bash", "-c", connect)


def test_a_certificate_renewed_behind_links(start: Start, containers: Containers, acme_store: Path) -> None:
    """certbot: new files in archive/, then links in live/ that are made anew."""
    name = "mail.example.test"
    for number in (1, 2):
        make_certificate(containers, acme_store, name, f"archive/{number}")
    live = acme_store / "live" / name
    live.mkdir(parents=True)
    for file in ("privkey.pem", "fullchain.pem"):
        (live / file).symlink_to(f"../../archive/1/{file}")
    server = start(
        environment={"SSL_TYPE": "letsencrypt"}, options=["--volume", f"{acme_store}:/etc/letsencrypt"]
    ).wait_until_up()
    before, pids = shown(server), server.pids()
    with handled(server):
        for file in ("privkey.pem", "fullchain.pem"):
            (live / file).unlink()
            (live / file).symlink_to(f"../../archive/2/{file}")
    assert shown(server) != before
    assert shown(server, 465) == shown(server)
    assert server.pids() == pids


@pytest.mark.parametrize(
    ("source", "target"),
    [("", "/etc/letsencrypt"), ("/acme.json", "/etc/letsencrypt/acme.json:ro")],
    ids=["directory", "file mounted by itself"],
)
def test_traefiks_store_is_extracted_again(
    start: Start, containers: Containers, acme_store: Path, source: str, target: str
) -> None:
    import base64

    def store(names: Sequence[str]) -> None:
        folder = acme_store.parent / f"made-{len(list(acme_store.parent.iterdir()))}"
        folder.mkdir()
        make_certificate(containers, folder, names[0].replace("*", "any"), "c")
        encoded = {
            field: base64.b64encode((folder / "c" / file).read_bytes()).decode()
            for field, file in (("key", "privkey.pem"), ("certificate", "fullchain.pem"))
        }
        entry = {"domain": {"main": names[0], "sans": list(names[1:])}, **encoded}
        (acme_store / "acme.json").write_text(json.dumps({"le": {"Certificates": [entry]}}))

    store(["mail.example.test"])
    server = start(
        environment={"SSL_TYPE": "letsencrypt", "SSL_DOMAIN": "*.example.test"},
        options=["--volume", f"{acme_store}{source}:{target}"],
    ).wait_until_up()
    assert "live/mail.example.test/fullchain.pem" in server.checked("postconf", "-h", "smtpd_tls_chain_files")
    before = shown(server)
    with handled(server):
        store(["*.example.test"])
    assert "live/example.test/fullchain.pem" in server.checked("postconf", "-h", "smtpd_tls_chain_files")
    assert shown(server) != before
    with unnoticed(server):  # what the extraction wrote is no second change
        pass
    assert detector_log(server).count("Change detected") == 2
