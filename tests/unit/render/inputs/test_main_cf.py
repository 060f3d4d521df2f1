"""postfix-main.cf on top of main.cf."""

from hypothesis import given
from hypothesis import strategies as st

from dmsinit.render.inputs.main_cf import merge, parameters

BASE = """# comment
myhostname = mail.example.test
mynetworks = 127.0.0.0/8
# inside
  [::1]/128

max_idle = 100s
"""


def values(text: str) -> dict[str, str]:
    """Read main.cf as postconf(5) says: the last logical line of a name wins."""
    lines = text.splitlines()
    found = {}
    for parameter in parameters(lines):
        joined = " ".join(lines[number].strip() for number in parameter.lines)
        found[parameter.name] = " ".join(joined.partition("=")[2].split())
    return found


def test_continuation_lines_belong_to_their_parameter() -> None:
    assert [(p.name, p.lines) for p in parameters(BASE.splitlines())] == [
        ("myhostname", (1,)),
        ("mynetworks", (2, 4)),
        ("max_idle", (6,)),
    ]


def test_users_value_replaces_ours_whole() -> None:
    merged = merge(BASE, "mynetworks =\nmax_idle = 600s\n")
    assert values(merged.text) == {"myhostname": "mail.example.test", "mynetworks": "", "max_idle": "600s"}
    assert "[::1]" not in merged.text
    assert "# inside" in merged.text
    assert merged.text.count("mynetworks") == 1


def test_lines_of_the_user_keep_their_numbers() -> None:
    user = "# mine\nmax_idle = 1s\n\nmax_idle = 2s\n  \nmy_own = a\n   b\n"
    merged = merge(BASE, user)
    lines = merged.text.splitlines()
    assert lines[merged.first_line - 1] == "# mine"
    assert lines[merged.first_line - 1 + 3] == "max_idle = 2s"
    assert merged.text.count("max_idle") == 1
    assert merged.names == {"max_idle": 4, "my_own": 6}
    assert values(merged.text)["my_own"] == "a b"


def test_custom_parameters_survive() -> None:
    assert values(merge(BASE, "my_thing = permit\n").text)["my_thing"] == "permit"


names = st.sampled_from(["myhostname", "mynetworks", "max_idle", "my_own", "other"])
settings_lines = st.lists(
    st.one_of(
        st.tuples(names, st.sampled_from(["", "a", "b c"])).map(lambda pair: f"{pair[0]} = {pair[1]}"),
        st.sampled_from(["", "# comment", "   # indented", "  "]),
    ),
    max_size=12,
)


@given(settings_lines)
def test_merging_is_what_appending_means(lines: list[str]) -> None:
    user = "\n".join(lines) + "\n"
    merged = merge(BASE, user)
    assert values(merged.text) == values(BASE + user)
    found = [parameter.name for parameter in parameters(merged.text.splitlines())]
    assert len(found) == len(set(found))


@given(st.text())
def test_any_text_is_merged_or_kept(user: str) -> None:
    merged = merge(BASE, user)
    assert merged.text.startswith("# comment\n")
    assert merged.first_line <= merged.text.count("\n") + 1
