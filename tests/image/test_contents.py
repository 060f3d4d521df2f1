"""What is in the image and what is not: its size, no compiler, and the programs that people use inside."""

import pytest

from tests.image.harness import IMAGE, Containers, Result

LARGEST_BYTES = 640_000_000
COMPILERS = ("as", "c++", "cc", "clang", "cpp", "g++", "gcc", "ld", "make", "re2c", "tcc")
TOOLS = {
    "curl": ("curl", "--version"),
    "dig": ("dig", "-v"),
    "less": ("less", "--version"),
    "nano": ("nano", "--version"),
    "netcat": ("netcat", "-h"),
    "nc": ("nc", "-h"),
    "ss": ("ss", "--version"),
    "swaks": ("swaks", "--version"),
    "whois": ("whois", "--version"),
}


@pytest.fixture(scope="module")
def found(containers: Containers) -> Result:
    """What a shell inside finds of all these programs, one path a line."""
    return containers.command("bash", "-c", f"command -v {' '.join((*COMPILERS, *TOOLS))}; ls -d /usr/lib/gcc*")


def test_the_image_is_small(containers: Containers) -> None:
    assert int(containers.checked("image", "inspect", "--format", "{{.Size}}", IMAGE)) <= LARGEST_BYTES


def test_nothing_in_it_compiles(found: Result) -> None:
    names = {line.rpartition("/")[2] for line in found.output.splitlines() if line.startswith("/usr/")}
    assert not names & set(COMPILERS)
    assert "/usr/lib/gcc/" not in found.output


def test_no_program_makes_root_of_who_starts_it(containers: Containers) -> None:
    """What is setgid is needed: mail by postdrop and postqueue, PAM; crontab and chage are Debian's, and no root."""
    assert containers.command("find", "/", "-xdev", "-type", "f", "-perm", "-4000").output == ""


def test_spamassassin_has_its_rules_as_machine_code_all_the_same(containers: Containers) -> None:
    said = containers.command("spamassassin", "-D", "zoom", "-L", "-t", stdin="Subject: x\n\nhello\n").output
    assert "compiled rules (100%)" in said


def test_the_tools_of_the_manuals_are_there(containers: Containers) -> None:
    script = "; ".join(
        f"{' '.join(command)} > /dev/null 2>&1 || test $? = 1 || echo {name}" for name, command in TOOLS.items()
    )
    assert containers.command("bash", "-c", script).output == ""


def test_swaks_speaks_tls_and_logs_in(containers: Containers) -> None:
    supported = containers.command("swaks", "--support").output
    for feature in ("TLS", "AUTH CRAM-MD5", "Basic AUTH", "MX Routing", "IPv4/v6 Socket Transport"):
        assert f"=== {feature} supported" in supported
