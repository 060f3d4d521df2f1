#!/usr/bin/env python3
"""The demo: a mail server for example.test on this machine, with a message sent and read.

    demo.py up      build the image, start the server, add two accounts, send a message from one to the other, read it
    demo.py down    stop the server and forget its mail and accounts
    demo.py shell   a shell inside
    demo.py logs    follow its log

Its ports are the usual ones plus 10000, on 127.0.0.1 only, so that no mail server of this machine is in the way.
"""

import imaplib
import shutil
import smtplib
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Final

from engine import IMAGE, ROOT, Engine, EngineError, build_image, find

NAME: Final = "dmsinit-demo"
HOSTNAME: Final = "mail.example.test"
DATA: Final = ROOT / ".cache" / "demo"
MOUNTS: Final = {
    "config": "/tmp/docker-mailserver",
    "mail-data": "/var/mail",
    "mail-state": "/var/mail-state",
    "mail-logs": "/var/log/mail",
}
PORTS: Final = {"smtp": 25, "submissions": 465, "submission": 587, "imap": 143, "imaps": 993}
PORT_OFFSET: Final = 10_000
METRICS_PORT: Final = 9154
ACCOUNTS: Final = {"anna@example.test": "anna-demo-password", "bob@example.test": "bob-demo-password"}
READY_SECONDS: Final = 90
DELIVERY_SECONDS: Final = 30


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def say(text: str) -> None:
    print(text, flush=True)


def up(engine: Engine) -> None:
    build_image(engine)
    start(engine)
    log = BootLog(engine)
    try:
        add_accounts(engine)
        log.wait_until_up()
    finally:
        log.close()
    require_health(engine)
    sender, recipient = ACCOUNTS
    began = time.monotonic()
    token = send(sender, recipient)
    message = receive(recipient, token)
    say(f"\n{recipient} has it, {time.monotonic() - began:.1f} s after it was sent:\n")
    for name in ("From", "To", "Subject"):
        say(f"    {name}: {message[name]}")
    say("\n" + textwrap.indent(message.get_content().strip(), "    ") + "\n")
    explain()


def down(engine: Engine) -> None:
    engine.succeeds("rm", "--force", NAME)
    shutil.rmtree(DATA, ignore_errors=True)
    say("The demo server and its mail are gone. Next: make up")


# --- the container


def start(engine: Engine) -> None:
    """Start the demo's container; an older one is replaced, its accounts and mail stay."""
    engine.succeeds("rm", "--force", NAME)
    command = ["run", "--detach", "--name", NAME, "--hostname", HOSTNAME, "--stop-timeout", "60"]
    command += ["--network", "bridge", "--cap-add", "NET_ADMIN", "--env-file", str(ROOT / "demo" / "mailserver.env")]
    for folder, target in MOUNTS.items():
        (DATA / folder).mkdir(parents=True, exist_ok=True)
        command += ["--volume", f"{DATA / folder}:{target}"]
    for port in PORTS.values():
        command += ["--publish", f"127.0.0.1:{port + PORT_OFFSET}:{port}"]
    command += ["--publish", f"127.0.0.1:{METRICS_PORT}:{METRICS_PORT}"]
    say(f"\nstarting {HOSTNAME} (container {NAME})")
    engine.output(*command, *engine.run_options, IMAGE)


def add_accounts(engine: Engine) -> None:
    """Add the accounts that an earlier `make up` did not; a server without accounts waits for the first one."""
    accounts = DATA / "config" / "postfix-accounts.cf"
    known = accounts.read_text() if accounts.exists() else ""
    for address, password in ACCOUNTS.items():
        if f"{address}|" in known:
            continue
        say(f"  setup email add {address} …")
        try:
            engine.output("exec", NAME, "setup", "email", "add", address, password)
        except EngineError:
            if engine.output("inspect", "--format", "{{.State.Running}}", NAME).strip() == "true":
                raise
            return  # it ended: its log says why


class BootLog:
    """The container's log while it boots: its own lines are shown, and the end of the container is noticed."""

    def __init__(self, engine: Engine) -> None:
        command = [engine.name, "logs", "--follow", NAME]
        self._process = subprocess.Popen(
            command, env=engine.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip

    def wait_until_up(self) -> None:
        """Show the log until the server says that it is up; raise DemoError if it ends or takes too long."""
        watchdog = threading.Timer(READY_SECONDS, self._process.kill)
        watchdog.start()
        try:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                say(f"  {line.rstrip()}")
                if "is up and running" in line:
                    return
        finally:
            watchdog.cancel()
        raise DemoError(
            f"cannot use the demo server: it ended, or was not up within {READY_SECONDS} s; "
            f"its log is above, and again by: tools/engine logs {NAME}"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def require_health(engine: Engine) -> None:
    try:
        engine.output("exec", NAME, "dmsctl", "health")
    except EngineError as error:
        raise DemoError(f"cannot use the demo server: not every service is ready; {error}") from None


# --- a message, in and out


def untrusting() -> ssl.SSLContext:
    """Return a TLS context for a certificate that the server made itself: encrypted, but not verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def send(sender: str, recipient: str) -> str:
    """Submit a message as its author does (587, STARTTLS, AUTH) and return what marks it."""
    token = f"{time.time_ns():x}"
    message = EmailMessage()
    message["From"], message["To"] = f"Anna <{sender}>", f"Bob <{recipient}>"
    message["Subject"] = f"Hello from dmsinit ({token})"
    message.set_content("Bob,\nthe server works: this came by submission, and you read it by IMAP.\nAnna\n")
    say(f"\nsending from {sender} to {recipient} through port {PORTS['submission'] + PORT_OFFSET} (STARTTLS, AUTH)")
    with smtplib.SMTP("127.0.0.1", PORTS["submission"] + PORT_OFFSET, timeout=30) as smtp:
        smtp.starttls(context=untrusting())
        smtp.login(sender, ACCOUNTS[sender])
        smtp.send_message(message)
    return token


def receive(recipient: str, token: str) -> EmailMessage:
    """Return the message with that mark from the recipient's inbox (IMAP over TLS)."""
    say(f"reading {recipient}'s inbox through port {PORTS['imaps'] + PORT_OFFSET} (IMAP over TLS)")
    deadline = time.monotonic() + DELIVERY_SECONDS
    with imaplib.IMAP4_SSL("127.0.0.1", PORTS["imaps"] + PORT_OFFSET, ssl_context=untrusting(), timeout=30) as imap:
        imap.login(recipient, ACCOUNTS[recipient])
        imap.select("INBOX")
        while time.monotonic() < deadline:
            imap.noop()
            _, found = imap.search(None, "SUBJECT", token)
            if found[0]:
                _, parts = imap.fetch(found[0].split()[-1], "(RFC822)")
                assert isinstance(parts[0], tuple)
                return BytesParser(EmailMessage, policy=default).parsebytes(parts[0][1])
            time.sleep(0.1)
    raise DemoError(f"cannot find the message in {recipient}'s inbox after {DELIVERY_SECONDS} s; see: make logs")


def explain() -> None:
    ports = ", ".join(f"{name} {port + PORT_OFFSET}" for name, port in PORTS.items())
    say(f"{HOSTNAME} runs on 127.0.0.1: {ports}")
    for address, password in ACCOUNTS.items():
        say(f"  account {address}, password {password}")
    say(
        "\nTry next:\n"
        "  make shell, and in it:  dmsctl status     what runs, since when, with how much memory\n"
        "                          dmsctl blame      what the boot waited for\n"
        "                          setup help        accounts, aliases, quotas; a change is live within a second\n"
        f"  http://127.0.0.1:{METRICS_PORT}/metrics           for Prometheus\n"
        "  make logs                               its log, the mail log included\n"
        "  make down                               stop it and forget its mail"
    )


def main(arguments: list[str]) -> int:
    engine = find()
    match arguments:
        case ["up"]:
            up(engine)
        case ["down"]:
            down(engine)
        case ["shell"]:
            return subprocess.call([engine.name, "exec", "--interactive", "--tty", NAME, "bash"], env=engine.environ)
        case ["logs"]:
            return subprocess.call([engine.name, "logs", "--follow", NAME], env=engine.environ)
        case _:
            say(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (DemoError, EngineError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
        print(f"demo: cannot talk to the demo server: {error}; see: make logs", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
