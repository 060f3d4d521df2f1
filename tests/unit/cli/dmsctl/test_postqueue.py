"""`dmsctl queue`: ids, tables and usage; the commands themselves are tested in the image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.cli.dmsctl import main
from dmsinit.cli.dmsctl.postqueue import Refused, checked_ids, harmless, parse_listing, table

REFUSED = "connect to far.test: Connection refused"
LISTING = "\n".join(
    [
        '{"queue_name": "hold", "queue_id": "3Pt2mN2VXxznjll", "arrival_time": 1000, "message_size": 300, '
        '"forced_expire": false, "sender": "", "recipients": [{"address": "b@far.test"}]}',
        '{"queue_name": "deferred", "queue_id": "A1B2C3D4E5", "arrival_time": 100, "message_size": 2048, '
        f'"sender": "anna@example.test", "recipients": [{{"address": "x@far.test", "delay_reason": "{REFUSED}"}}, '
        '{"address": "y@far.test", "delay_reason": "a\\u001b[2Jb"}]}',
    ]
)


def test_each_recipient_has_a_row_with_its_reason() -> None:
    assert table(parse_listing(LISTING), 3700.0).splitlines() == [
        "ID               QUEUE        AGE     SIZE  SENDER             RECIPIENT   REASON",
        f"A1B2C3D4E5       deferred   1h00m  2.0 KiB  anna@example.test  x@far.test  {REFUSED}",
        "                                                               y@far.test  a\\x1b[2Jb",
        "3Pt2mN2VXxznjll  hold      45m00s    300 B  <>                 b@far.test",
        "2 messages, 2.3 KiB",
    ]


def test_many_recipients_are_counted() -> None:
    (message,) = parse_listing(LISTING.splitlines()[0])
    message["recipients"] = [{"address": f"u{number}@far.test"} for number in range(25)]
    assert table([message], 1000.0).splitlines()[-2].endswith("… and 15 more")


def test_an_empty_queue_is_told() -> None:
    assert table(parse_listing(""), 0.0) == "the queue is empty"


def test_what_is_no_listing_is_refused() -> None:
    for output in ("nonsense", '{"queue_id": "A"}', "[]"):
        with pytest.raises(Refused, match="postqueue -p"):
            parse_listing(output)


def test_ids_of_both_kinds_are_taken_with_their_marks() -> None:
    assert checked_ids(["A1B2C3D4E5*", "3Pt2mN2VXxznjll!", "A1B2C3D4E5"]) == ["A1B2C3D4E5", "3Pt2mN2VXxznjll"]


@pytest.mark.parametrize("word", ["", "ALL", "all", "-d", "-", "../x", "A1B2 C3", "A1B2C3\n", "deferred", "A1B2C3;rm"])
def test_anything_else_is_no_id(word: str) -> None:
    with pytest.raises(Refused, match="is not a queue id"):
        checked_ids([word])


@given(st.text())
def test_whatever_passes_is_letters_and_digits(word: str) -> None:
    try:
        (one,) = checked_ids([word])
    except Refused:
        return
    assert one.isascii()
    assert one.isalnum()
    assert one.upper() != "ALL"


@given(st.text())
def test_nothing_foreign_moves_a_cursor(text: str) -> None:
    assert all(character in "\t\n" or character.isprintable() or ord(character) > 0x9F for character in harmless(text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("delete all", "this deletes all mail that waits for delivery; add --yes if that is meant"),
        ("delete ALL", "this deletes all mail that waits for delivery; add --yes if that is meant"),
        ("delete", "`queue delete` takes queue ids, or `all`"),
        ("hold", "`queue hold` takes queue ids, or `all`"),
        ("show", "`queue show` takes one queue id; `dmsctl queue` lists them"),
        ("show all", "`queue show` takes one queue id; `dmsctl queue` lists them"),
        ("list A1B2C3", "`queue list` takes no 'A1B2C3'; did you mean `queue show`?"),
    ],
)
def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    assert main.main(["queue", *arguments.split()]) == 2
    assert capsys.readouterr().err == f"dmsctl: {message}\n"
