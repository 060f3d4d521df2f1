"""The detector of calls that wait works; see conftest.py."""

import pytest
from blockbuster import BlockingError

from dmsinit.render.paths import Root


async def test_a_call_that_waits_is_found() -> None:
    with pytest.raises(BlockingError):
        Root().read("/etc/hostname")
