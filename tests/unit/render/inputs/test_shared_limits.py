"""Values of main.cf that other daemons share."""

from dataclasses import replace

import pytest

from dmsinit.render.inputs.shared_limits import Limits, of
from dmsinit.settings import load


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Limits(10240000, 0, "+")),
        ("message_size_limit = 5\nvirtual_mailbox_limit=7\n", Limits(5, 7, "+")),
        ("message_size_limit = 5\nmessage_size_limit =\n  6\n", Limits(6, 0, "+")),
        ("message_size_limit = $other\nrecipient_delimiter = +-\n", Limits(10240000, 0, "+-")),
        ("recipient_delimiter =\n", Limits(10240000, 0, "")),
    ],
)
def test_postfix_main_cf_wins(text: str, found: Limits) -> None:
    settings = load({}, fqdn="mail.example.test").settings
    assert replace(of(settings, text), given=frozenset()) == found


def test_what_is_given_is_known() -> None:
    settings = load({}, fqdn="mail.example.test").settings
    assert of(settings, "a = 1\n# b = 2\nc =\n  3\n").given == {"a", "c"}
