"""The secret of SRS: made once, kept in the state volume, taken over from where older releases kept it."""

import base64
import stat

import pytest

from dmsinit.render.inputs.context import gather
from dmsinit.render.inputs.srs import FORMER, KEPT, SECRET, keep_secret
from tests.unit.render.conftest import System


@pytest.fixture
def kept(system: System) -> System:
    system.path("/var/mail-state").mkdir(parents=True)
    return system


def keep(system: System, **environ: str) -> None:
    assert keep_secret(gather(system.root, {"ENABLE_SRS": "1", **environ}).settings, system.root) == []


def test_without_a_state_volume_the_secret_is_made_once(system: System) -> None:
    keep(system)
    secret = system.read(SECRET)
    assert len(base64.b64decode(secret)) == 24
    assert stat.S_IMODE(system.path(SECRET).stat().st_mode) == 0o600
    keep(system)
    assert system.read(SECRET) == secret


def test_the_state_volume_keeps_it_over_containers(kept: System) -> None:
    keep(kept)
    secret = kept.read(KEPT)
    assert str(kept.path(SECRET).readlink()) == KEPT
    kept.path(SECRET).unlink()
    keep(kept)
    assert kept.read(KEPT) == secret


def test_the_secret_of_an_older_release_holds_on(kept: System) -> None:
    kept.write(FORMER, "old", mode=0o400)
    keep(kept)
    assert kept.read(KEPT) == "old\n"


def test_a_secret_from_before_the_state_volume_moves_there(kept: System) -> None:
    kept.write(SECRET, "mine\n")
    keep(kept)
    assert kept.read(KEPT) == "mine\n"
    assert kept.path(SECRET).is_symlink()


def test_secrets_of_the_environment_win(kept: System) -> None:
    kept.write(KEPT, "old\n", mode=0o644)
    keep(kept, SRS_SECRET="bmV3,b2xk")
    assert kept.read(KEPT) == "bmV3\nb2xk\n"
    assert stat.S_IMODE(kept.path(KEPT).stat().st_mode) == 0o600


def test_nothing_is_made_without_srs(kept: System) -> None:
    keep(kept, ENABLE_SRS="0")
    assert not kept.path(KEPT).exists()
    assert not kept.path(SECRET).exists()


def test_a_state_volume_that_cannot_hold_it_is_told(kept: System) -> None:
    kept.write("/var/mail-state/etc", "a file where a directory should be")
    settings = gather(kept.root, {"ENABLE_SRS": "1"}).settings
    assert "the secret of SRS cannot be kept" in str(keep_secret(settings, kept.root)[0])
