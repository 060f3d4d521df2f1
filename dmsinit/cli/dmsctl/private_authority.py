"""`dmsctl certificate self-signed`: a private authority and a certificate of it, where SSL_TYPE=self-signed looks.

It asks no question and needs no running server. The authority's key is thrown away: nobody can make more certificates
that clients of this server would trust.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from dmsinit.base.beneath import opened, owner_of

CONFIG: Final = Path("/tmp/docker-mailserver")  # noqa: S108 - the contract's mount point
DAYS: Final = 820
"""Apple's clients refuse a server's certificate that is valid for more than 825 days."""
_EC: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
_RSA: Final = ("-newkey", "rsa:3072", "-noenc")
_COMMON_NAME_LIMIT: Final = 64


class Refused(Exception):
    """It cannot be made; the message is for the person who asked."""


def self_signed(name: str, also: list[str], *, rsa: bool, days: int, force: bool, config: Path = CONFIG) -> list[Path]:
    """Make the three files in the config volume's ssl/, and return their paths. Raises Refused."""
    folder = config / "ssl"
    files = {
        "key.pem": folder / f"{name}-key.pem",
        "cert.pem": folder / f"{name}-cert.pem",
        "ca.pem": folder / "demoCA" / "cacert.pem",
    }
    present = [str(path) for path in files.values() if path.exists()]
    if present and not force:
        raise Refused(f"cannot make a certificate: {', '.join(present)} exists already; add --force to replace it")
    with tempfile.TemporaryDirectory(prefix="dmsinit-certificate-") as work:
        _make(Path(work), name, also, _RSA if rsa else _EC, days)
        try:
            for made, target in files.items():
                _install(Path(work, made), target, config, 0o600 if made == "key.pem" else 0o644)
        except OSError as error:
            raise Refused(f"cannot write {error.filename}: {error.strerror}; mount the volume writable") from None
    return list(files.values())


def _make(work: Path, name: str, also: list[str], algorithm: tuple[str, ...], days: int) -> None:
    common = name if len(name) <= _COMMON_NAME_LIMIT else name.partition(".")[0][:_COMMON_NAME_LIMIT]
    names = ",".join(f"DNS:{one}" for one in dict.fromkeys([name, *also]))
    _openssl(
        work, "req", "-x509", *algorithm, "-days", str(days), "-subj", f"/CN=Authority of {common[:40]}",
        "-addext", "basicConstraints=critical,CA:true,pathlen:0", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", "ca-key.pem", "-out", "ca.pem",
    )  # fmt: skip
    _openssl(
        work, "req", "-x509", *algorithm, "-days", str(days), "-subj", f"/CN={common}",
        "-addext", "basicConstraints=critical,CA:false", "-addext", f"subjectAltName={names}",
        "-addext", "keyUsage=critical,digitalSignature,keyEncipherment", "-addext", "extendedKeyUsage=serverAuth",
        "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-keyout", "key.pem", "-out", "cert.pem",
    )  # fmt: skip


def _openssl(work: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], cwd=work, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Refused(f"cannot run openssl: {error.strerror}; run this in the image") from None
    if done.returncode:
        raise Refused(
            f"cannot make a certificate: openssl says {(done.stderr.strip().splitlines() or ['nothing'])[-1]}"
        )


def _install(source: Path, target: Path, config: Path, mode: int) -> None:
    """Put a file in place, whole, with the owner of the config volume."""
    owner, trust, place = config.stat(), owner_of(str(config)), config
    for name in target.parent.relative_to(config).parts:
        with opened(str(place), trust) as directory:
            if directory.make(name, 0o755):
                directory.own(name, owner.st_uid, owner.st_gid)
        place /= name
    with opened(str(place), trust) as folder:
        temporary = f".{target.name}.new"
        folder.unlink(temporary)
        with open(folder.create(temporary), "wb") as file:
            file.write(source.read_bytes())
        folder.own(temporary, owner.st_uid, owner.st_gid, mode)
        folder.rename(temporary, target.name)
