"""Read the whole config volume at once."""

from pathlib import Path

from dmsinit.problem import ProblemsFound
from dmsinit.volume import files, parse, parse_tables
from dmsinit.volume.files import Findings, Line
from dmsinit.volume.model import Volume


def read(directory: Path) -> Volume:
    """Return what the config volume in `directory` says; files that do not exist say nothing.

    Raises ProblemsFound with every error of every file.
    """
    findings = Findings()
    loaded = {name: files.load(directory, name, findings) for name in files.ALL}
    volume = parse_lines(directory, {name: lines for name, lines in loaded.items() if lines is not None}, findings)
    if findings.errors:
        raise ProblemsFound(findings.errors)
    return volume


def parse_lines(directory: Path, lines: dict[str, list[Line]], findings: Findings) -> Volume:
    """Return the Volume that the lines of its files make; `lines` has a key for each file that exists."""

    def plain(name: str) -> list[Line]:
        return lines.get(name, [])

    def joined(name: str) -> list[Line]:
        return files.join_continued(lines.get(name, []))

    accounts = parse.accounts(plain(files.ACCOUNTS), findings)
    return Volume(
        directory=directory,
        accounts=accounts,
        aliases=parse.aliases(joined(files.ALIASES), findings),
        regexp_lines=parse_tables.regexp_lines(joined(files.REGEXP), findings),
        local_aliases=parse_tables.local_aliases(joined(files.LOCAL_ALIASES), findings),
        quotas=parse.quotas(plain(files.QUOTAS), findings),
        masters=parse.masters(plain(files.MASTERS), findings),
        relay_map=parse_tables.relay_map(plain(files.RELAY_MAP), findings),
        sasl_passwords=parse_tables.sasl_passwords(plain(files.SASL_PASSWORDS), findings),
        send_access=parse_tables.access_rules(files.SEND_ACCESS, joined(files.SEND_ACCESS), findings),
        receive_access=parse_tables.access_rules(files.RECEIVE_ACCESS, joined(files.RECEIVE_ACCESS), findings),
        present=frozenset(lines),
        warnings=tuple(findings.warnings),
    )
