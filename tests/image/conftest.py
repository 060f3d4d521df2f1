"""Servers that tests share. Whatever a test changes for others, it changes in a server of its own (`start`)."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.image.harness import DOMAIN, IMAGE, Containers, EngineMissing, Server, account

USERS = ("anna", "bob", "carla")

MAKE_CERTIFICATE = """
cd /tmp/docker-mailserver && mkdir -p ssl/demoCA && cd ssl
exec 2>&1; set -e
ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30'
openssl req -x509 $ec -subj '/CN=Test CA' -keyout ca-key.pem -out demoCA/cacert.pem
openssl req -x509 $ec -subj '/CN=mail.example.test' -addext 'subjectAltName=DNS:mail.example.test' \
  -addext 'basicConstraints=critical,CA:false' \
  -CA demoCA/cacert.pem -CAkey ca-key.pem -keyout mail.example.test-key.pem -out mail.example.test-cert.pem
rm ca-key.pem
"""

AT_ONCE = "auth_failure_delay = 0\n"
"""Dovecot answers a wrong password at once."""

FILES = {
    "postfix-accounts.cf": "".join(account(f"{user}@{DOMAIN}") for user in USERS) + account("dora@second.test"),
    "postfix-virtual.cf": (
        f"sales@{DOMAIN} anna@{DOMAIN},bob@{DOMAIN}\n"
        f"bin@{DOMAIN} devnull\n"
        "dora@second.test dora@second.test\n"
        "@second.test dora@second.test\n"
    ),
    "postfix-regexp.cf": rf"/^team-[0-9]+@example\.test$/ carla@{DOMAIN}" + "\n",
    "postfix-aliases.cf": f"devnull: /dev/null\nbackup: bob@{DOMAIN}\n",
    "postfix-main.cf": "max_idle = 42s\n",
    "postfix-master.cf": "submission/inet/smtpd_hard_error_limit = 7\n",
    "dovecot.cf": "mail_max_userip_connections = 77\n" + AT_ONCE,
    "user-patches.sh": "echo patched as $(id -un) with $SSL_TYPE\npostconf -e 'queue_minfree = 12345'\nexit 3\n",
}
"""The shared server's config volume: a little of everything that people put there."""

Start = Callable[..., Server]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for engine and image before the first test: one sentence instead of an error in each."""
    here = Path(__file__).parent
    if session.config.option.collectonly or not any(here in item.path.parents for item in session.items):
        return
    try:
        containers = Containers()
    except EngineMissing as missing:
        raise pytest.UsageError(str(missing)) from None
    found = containers.call("image", "inspect", IMAGE)
    containers.remove_all()
    if found.code:
        raise pytest.UsageError(f"cannot find the image {IMAGE}; build it with: make image")


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    containers = Containers()
    yield containers
    containers.remove_all()


@pytest.fixture(scope="session")
def certificate(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Files under ssl/ that SSL_TYPE=self-signed reads, by their names in the config volume."""
    folder = tmp_path_factory.mktemp("certificate")
    made = containers.command("bash", "-c", MAKE_CERTIFICATE, config=folder)
    assert made.code == 0, made.output
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.pem")}


@pytest.fixture(scope="session")
def server(
    containers: Containers, certificate: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server with FILES and a certificate (SSL_TYPE=self-signed), for tests that change nothing in it."""
    server = containers.start(
        {**FILES, **certificate},
        tmp_path_factory.mktemp("config"),
        environment={"SSL_TYPE": "self-signed", "PERMIT_DOCKER": "none"},
    )
    server.wait_until_up()
    greeted = threading.Thread(target=be_greeted, args=(server,))
    greeted.start()
    yield server
    greeted.join()


@pytest.fixture(scope="session")
def open_server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A running server as `docker run` starts it with nothing but one account: SSL_TYPE is empty."""
    files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}")}
    return containers.start(files, tmp_path_factory.mktemp("open")).wait_until_up()


@pytest.fixture(scope="module")
def crash_server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server whose services a test file may stop, kill and restart."""
    files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}")}
    server = containers.start(files, tmp_path_factory.mktemp("crash")).wait_until_up()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def live_server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server whose config volume a test file may change; it leaves it as it found it."""
    files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}"), "dovecot.cf": AT_ONCE}
    server = containers.start(files, tmp_path_factory.mktemp("live")).wait_until_up()
    yield server
    server.remove()


def be_greeted(server: Server) -> None:
    """Pass postscreen's greet test (six seconds) while other tests run: it knows this client from then on."""
    with server.smtp(25) as smtp:
        smtp.noop()


@pytest.fixture
def start(containers: Containers, tmp_path: Path) -> Iterator[Start]:
    """Start a server of the test's own, by default with one account; it is removed afterwards."""
    servers: list[Server] = []

    def start(files: Mapping[str, str] | None = None, **options: object) -> Server:
        files = {"postfix-accounts.cf": account(f"anna@{DOMAIN}")} if files is None else files
        config = tmp_path / f"config-{len(servers)}"
        config.mkdir(exist_ok=True)
        servers.append(containers.start(files, config, **options))  # type: ignore[arg-type]  # passed through
        return servers[-1]

    yield start
    for server in servers:
        server.remove()
