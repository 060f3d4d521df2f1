"""custom-commands.conf of Rspamd: what each command does to override.d (behaviours 149 to 153)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.render.overrides.rspamd_commands import apply


def carried_out(text: str, **files: str) -> dict[str, str]:
    texts = {name.replace("__", "."): content for name, content in files.items()}
    assert apply(text, texts) == []
    return texts


def test_a_later_value_replaces_an_earlier_one() -> None:
    assert carried_out("set-option-for-module m1 opt v1\nset-option-for-module m1 opt v2\n") == {
        "m1.conf": "opt = v2;\n"
    }


def switched(module: str, value: str) -> str:
    return f"# documentation: https://rspamd.com/doc/modules/{module}.html\n\nenabled = {value};\n"


@pytest.mark.parametrize(("command", "value"), [("disable", "false"), ("enable", "true")])
def test_switching_a_module_writes_its_file_anew(command: str, value: str) -> None:
    assert carried_out(f"{command}-module m", m__conf="opt = 1;\n") == {"m.conf": switched("m", value)}


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("set-option-for-controller", "worker-controller.inc"),
        ("set-option-for-proxy", "worker-proxy.inc"),
        ("set-common-option", "options.inc"),
    ],
)
def test_options_go_to_their_files(command: str, file: str) -> None:
    assert carried_out(f'{command} opt "a b"; ') == {file: 'opt = "a b";\n'}


def test_a_line_is_added_as_it_stands() -> None:
    line = '  text # with "odd"  chars'
    assert carried_out(f"add-line f.inc {line}", f__inc="no newline at the end") == {
        "f.inc": f"no newline at the end\n{line}\n"
    }


def test_a_replaced_option_keeps_its_indentation_and_all_else() -> None:
    before = "rules {\n    opt= 1; # why\n\toption = 2;\n}\n"
    assert carried_out("set-option-for-module m opt 3", m__conf=before) == {
        "m.conf": "rules {\n    opt = 3;\n\toption = 2;\n}\n"
    }


def test_values_are_literal() -> None:
    hashed = r"$2$\1$g<0>"
    assert carried_out(f"set-option-for-controller password {hashed}", **{"worker-controller__inc": "password=1;"}) == {
        "worker-controller.inc": f"password = {hashed};\n"
    }


def test_tabs_separate_words_too() -> None:
    files: dict[str, str] = {}
    assert apply("set-option-for-module\tclassifier-bayes  autolearn\ttrue\nadd-line\tf\ta = b;", files) == []
    assert files == {"classifier-bayes.conf": "autolearn = true;\n", "f": "a = b;\n"}


def test_what_is_no_command_is_skipped_and_the_rest_carried_out() -> None:
    files: dict[str, str] = {}
    commands = ["nonsense x", "set-option-for-module m", "add-line ../passwd x", "add-line f", "  enable-module m # no"]
    skipped = apply("\n".join(["# comment", "", *commands, "enable-module m"]), files)
    assert [number for number, _ in skipped] == [3, 4, 5, 6, 7]
    assert skipped[0][1] == "is not a command: nonsense"
    assert "MODULE OPTION VALUE" in skipped[1][1]
    assert files == {"m.conf": switched("m", "true")}


@given(st.text())
def test_any_text_at_all_ends_with_files_in_the_directory(text: str) -> None:
    files: dict[str, str] = {}
    apply(text, files)
    assert not [name for name in files if "/" in name or name.startswith(".")]
