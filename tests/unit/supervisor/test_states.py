"""The transition table is the contract; the page in the docs says the same."""

from pathlib import Path

import pytest

from dmsinit.supervisor.states import TRANSITIONS, Reason, State, TransitionError, check

PAGE = Path(__file__).parents[3] / "docs/reference/states.md"


def rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").split(heading, 1)[1].split("\n## ", 1)[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def test_the_page_shows_the_table() -> None:
    shown = {State(name): frozenset(map(State, following.split(", "))) for name, _, following in rows("# States")}
    assert shown == TRANSITIONS


def test_the_page_shows_the_reasons() -> None:
    assert [name for name, _ in rows("## Reasons")] == [str(reason) for reason in Reason]


def test_every_state_can_be_left_and_stopped_leads_to_all() -> None:
    reached = {State.STOPPED}
    queue = [State.STOPPED]
    while queue:
        for state in TRANSITIONS[queue.pop()] - reached:
            reached.add(state)
            queue.append(state)
    assert reached == set(State)


def test_what_the_table_does_not_hold_is_a_defect() -> None:
    check("postfix", State.READY, State.STOPPING)
    with pytest.raises(TransitionError, match="postfix: stopped → ready"):
        check("postfix", State.STOPPED, State.READY)
