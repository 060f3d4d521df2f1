"""The Plan: JSON both ways, start order, and the smallest actions."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.plan import (
    Action,
    Change,
    Plan,
    PlanError,
    Probe,
    Readiness,
    Service,
    actions,
    decode,
    encode,
    start_order,
)


def service(name: str, **more: object) -> Service:
    return Service(name=name, command=(f"/usr/sbin/{name}",), **more)  # type: ignore[arg-type]  # keywords of Service


def plan(*services: Service) -> Plan:
    return Plan(fqdn="mail.example.test", services=services)


def test_json_both_ways() -> None:
    milter = service("opendkim", ready=Readiness(probe=Probe(kind="milter", address="inet:127.0.0.1:8891")))
    assert decode(encode(plan(milter))) == plan(milter)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        decode(b'{"fqdn": "mail.example.test", "colour": "blue"}')


def test_each_service_starts_behind_what_it_waits_for() -> None:
    order = start_order(
        [service("postfix", after=("rsyslog", "opendkim")), service("opendkim", wants=("rsyslog",)), service("rsyslog")]
    )
    assert order == ["rsyslog", "opendkim", "postfix"]


def test_a_disabled_service_is_neither_started_nor_waited_for() -> None:
    assert start_order([service("postfix", after=("clamav",)), service("clamav", enabled=False)]) == ["postfix"]


def test_a_circle_names_its_members() -> None:
    with pytest.raises(PlanError, match="a → b → a"):
        start_order([service("a", after=("b",)), service("b", wants=("a",))])


def test_an_unknown_name_is_said_with_both_ends() -> None:
    with pytest.raises(PlanError, match="postfix wants opendkmi, which does not exist"):
        start_order([service("postfix", wants=("opendkmi",))])


def test_requiring_a_disabled_service_is_an_error() -> None:
    with pytest.raises(PlanError, match="rspamd requires redis, which is not enabled"):
        start_order([service("rspamd", requires=("redis",)), service("redis", enabled=False)])


@pytest.mark.parametrize("kind", ["requires", "wants", "after"])
def test_only_a_late_service_waits_for_a_late_one(kind: str) -> None:
    report = service("report", late=True)
    with pytest.raises(PlanError, match=f"viewer {kind} report, which is late"):
        start_order([service("viewer", **{kind: ("report",)}), report])
    assert start_order([service("viewer", late=True, **{kind: ("report",)}), report]) == ["report", "viewer"]


def test_a_late_service_that_is_disabled_is_not_waited_for() -> None:
    assert start_order([service("a", after=("b",)), service("b", late=True, enabled=False)]) == ["a"]


@given(st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 12), max_size=4), max_size=12))
def test_any_graph_is_ordered_or_refused(graph: dict[int, set[int]]) -> None:
    services = [service(str(n), after=tuple(str(m) for m in after if m in graph)) for n, after in graph.items()]
    try:
        order = start_order(services)
    except PlanError:
        with pytest.raises(PlanError, match="circle"):
            start_order(services)
        return
    assert sorted(order) == sorted(s.name for s in services)
    for one in services:
        assert all(order.index(other) < order.index(one.name) for other in one.after)


def test_actions_from_nothing_start_what_is_enabled() -> None:
    assert actions(None, plan(service("cron"), service("clamav", enabled=False)), []) == [
        Action(service="cron", action="start")
    ]


def test_actions_are_the_smallest() -> None:
    before = plan(service("same"), service("new-command"), service("probe"), service("gone"), service("off"))
    after = plan(
        service("same"),
        service("new-command", env={"A": "1"}),
        service("probe", ready=Readiness(timeout_seconds=1)),
        service("added"),
        service("off", enabled=False),
    )
    assert actions(before, after, []) == [
        Action(service="gone", action="stop"),
        Action(service="off", action="stop"),
        Action(service="new-command", action="restart"),
        Action(service="added", action="start"),
    ]


@pytest.mark.parametrize("on_change", ["reload", "restart", "none"])
def test_a_changed_file_does_what_its_service_says(on_change: str) -> None:
    both = plan(service("dovecot", on_change=on_change), service("cron"))
    change = Change(path="/etc/dovecot/userdb", action="modify", service="dovecot")
    expected = [] if on_change == "none" else [Action(service="dovecot", action=on_change)]  # type: ignore[arg-type]  # a literal
    assert actions(both, both, [change]) == expected
