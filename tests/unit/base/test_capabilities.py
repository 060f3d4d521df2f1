"""Capabilities that an engine was told to drop."""

from pathlib import Path

from dmsinit.base.capabilities import missing


def test_capabilities_that_are_missing_are_named(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t00000000800405fb\n")
    assert missing(status) == []
    status.write_text("Name:\tx\nCapEff:\t00000000800405f2\n")
    assert missing(status) == ["CHOWN", "FOWNER"]
    assert missing(tmp_path / "none") == []
