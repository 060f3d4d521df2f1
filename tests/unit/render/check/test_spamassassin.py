"""What spamassassin(1) says of a user's rules, in terms of the user's file: texts of SpamAssassin 4.0."""

import pytest

from dmsinit.render.check.spamassassin import RULES, command, complaints
from dmsinit.render.stage import Origin, Stage, StagedFile

STAGED = "/staged"
PLACE = STAGED + RULES
TEXT = "score RCVD_IN_XBL four\nboddy X /x/\ndescribe OPEN /\nbody OPEN /(/\nscore OPEN 3\n"
SAID = f"""Nov 24 10:58:24.551 [137] warn: config: invalid 'score' value in {PLACE} (line 1): score RCVD_IN_XBL four
Nov 24 10:58:24.551 [137] warn: config: failed to parse line in {PLACE} (line 2): boddy X /x/
Nov 24 10:58:24.551 [137] warn: config: invalid regexp for OPEN '/(/': Unmatched ( in regex; marked by <-- HERE
Nov 24 10:58:24.551 [137] warn: config: invalid regexp for GONE '/(/': Unmatched ( in regex; marked by <-- HERE
Nov 24 10:58:24.551 [137] warn: config: registryboundaries: no tlds defined, need to run sa-update
Nov 24 10:58:24.561 [137] warn: config: failed to parse line in /etc/spamassassin/spamassassin-rules.cf (line 7): x
Nov 24 10:58:24.561 [137] warn: lint: 6 issues detected, please rerun with debug enabled for more information
"""


@pytest.fixture
def file() -> StagedFile:
    staged = Stage().add(RULES, TEXT)
    staged.origin = Origin(1, "spamassassin-rules.cf")
    return staged


def test_each_line_that_cannot_be_read_is_named(file: StagedFile) -> None:
    told = [(problem.where, problem.cause) for problem in complaints(SAID, file, STAGED, plugins=False)]
    assert told == [
        ("spamassassin-rules.cf:1", "SpamAssassin finds an invalid 'score' value"),
        ("spamassassin-rules.cf:2", "SpamAssassin does not know what this line says"),
        (
            "spamassassin-rules.cf:4",
            "SpamAssassin finds an invalid regexp of OPEN: '/(/': Unmatched ( in regex; marked by <-- HERE",
        ),
    ]


def test_what_a_plugin_will_know_is_not_called_unknown(file: StagedFile) -> None:
    told = [problem.where for problem in complaints(SAID, file, STAGED, plugins=True)]
    assert told == ["spamassassin-rules.cf:1", "spamassassin-rules.cf:4"]


def test_good_rules_are_silent(file: StagedFile) -> None:
    assert complaints("", file, STAGED, plugins=False) == []


def test_the_staged_rules_are_asked_about() -> None:
    assert command(STAGED)[-1] == PLACE
