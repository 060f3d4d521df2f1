from dmsinit.base.control_characters import control_character


def test_every_kind_is_named() -> None:
    named = {
        text: control_character(f"a{text}b") for text in ("\n", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029")
    }
    assert named == {
        "\n": "a line break", "\x00": "0x00", "\x1b": "0x1b", "\x7f": "0x7f", "\x85": "0x85",
        "\u2028": "0x2028", "\u2029": "0x2029",
    }  # fmt: skip


def test_letters_and_what_is_allowed_are_none() -> None:
    assert control_character("a\tb é 漢", allowed="\t") == ""
