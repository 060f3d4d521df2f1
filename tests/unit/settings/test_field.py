"""Kinds of values: what each reads, what it refuses, and that a refusal says what to write."""

import pytest

from dmsinit.settings import FIELDS
from dmsinit.settings.field import (
    Choice,
    Fault,
    FilePath,
    Flag,
    Number,
    Same,
    Section,
    Text,
    Whole,
    holds,
    quoted,
)
from dmsinit.settings.kinds import Words


class Sample(Section):
    """Fields to try."""

    flag = Flag("0", "")
    whole = Whole("5", "", minimum=1, maximum=9)
    signed = Whole("0", "", minimum=-3, maximum=5)
    number = Number("1.5", "")
    choice = Choice("one", ("one", "two"), "")
    text = Text("", "")
    word = Text("", "", one_word=True)
    path = FilePath("", "")
    words = Words("", "")
    few = Words("", "", choices=("a", "b"))


def test_a_field_knows_its_name_and_gives_values_to_instances() -> None:
    assert Sample.whole.name == "WHOLE"
    sample = Sample()
    sample._values = {"WHOLE": 7}
    assert sample.whole == 7


@pytest.mark.parametrize("text", ["1", " 9 ", "0005"])
def test_whole_numbers(text: str) -> None:
    assert Sample.whole.parse(text) == int(text)


@pytest.mark.parametrize("text", ["0", "10", "-1", "1.0", "", "x", "٣", "1e3", "--1", "9" * 5000, "0x5", "1_0"])
def test_not_whole_or_out_of_range(text: str) -> None:
    with pytest.raises(Fault) as caught:
        Sample.whole.parse(text)
    assert "WHOLE=" in caught.value.remedy


def test_whole_number_in_quotes_is_answered_with_the_number() -> None:
    with pytest.raises(Fault) as caught:
        Sample.whole.parse('"7"')
    assert caught.value.remedy == "write digits only, such as WHOLE=7"


def test_negative_numbers() -> None:
    assert Sample.signed.parse("-3") == -3
    assert [Sample.number.parse(text) for text in ("-100000", "6.31", "+2", "1e3", ".5")] == [
        -100000.0, 6.31, 2.0, 1000.0, 0.5,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "", "e", "1,5", "1.2.3", "٣.٣", "--1"])
def test_not_a_number(text: str) -> None:
    with pytest.raises(Fault):
        Sample.number.parse(text)


def test_choice_in_another_case_is_answered_with_the_right_one() -> None:
    assert Sample.choice.parse(" two ") == "two"
    with pytest.raises(Fault) as caught:
        Sample.choice.parse("TWO")
    assert caught.value.remedy == "write CHOICE=two"


def test_text_keeps_blanks_and_one_word_does_not() -> None:
    assert Sample.text.parse(" a b\t") == " a b\t"
    assert Sample.word.parse(" a ") == "a"
    with pytest.raises(Fault):
        Sample.word.parse("a b")


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\x01", "\x7f", "\udc80", "\x1b[0m"])
@pytest.mark.parametrize("field", [Sample.text, Sample.word, Sample.path, Sample.words])
def test_text_that_cannot_stand_in_a_file(field: Text, text: str) -> None:
    with pytest.raises(Fault):
        field.parse(text)


def test_text_in_any_script() -> None:
    assert Sample.text.parse("Grüße — 日本 \u00a0🙂") == "Grüße — 日本 \u00a0🙂"


def test_lists() -> None:
    assert Sample.words.parse("a, b  c,,d") == ("a", "b", "c", "d")
    assert Sample.few.parse("b,a") == ("b", "a")
    with pytest.raises(Fault) as caught:
        Sample.few.parse("a,c")
    assert caught.value.cause == "holds 'c'"


def test_conditions() -> None:
    texts = {"A": "1", "B": ""}
    assert holds("", texts)
    assert holds("A=1", texts)
    assert holds("A!=0 and B=", texts)
    assert not holds("A=1 and B!=", texts)


@pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: str(field.name))
def test_definition_of_every_variable(field: Text) -> None:
    """A default can be read, conditions and references name variables, and the help is a sentence."""
    if isinstance(field.default, Same):
        assert all(name in FIELDS for name in field.default.names)
    else:
        field.parse(field.default.replace("<domain>", "example.test").replace("<FQDN>", "mail.example.test"))
    assert isinstance(holds(field.when, dict.fromkeys(FIELDS, "x")), bool)
    assert field.help.endswith(".")


def test_a_message_repeats_little() -> None:
    assert quoted("a\nb") == "'a\\nb'"
    assert len(quoted("x" * 1000)) < 70
