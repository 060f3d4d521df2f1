import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.control.blame import explain
from dmsinit.supervisor.status import Span


def phase(name: str, began: float, ended: float | None) -> Span:
    return Span(name=name, kind="phase", began=began, ended=ended)


def service(
    name: str, began: float, spawned: float | None, ended: float | None, waited_for: str = "", kind: str = "service"
) -> Span:
    return Span(name=name, kind=kind, began=began, spawned=spawned, ended=ended, waited_for=waited_for)


BOOT = [
    phase("settings", 0.05, 0.1),
    phase("render", 0.1, 0.4),
    phase("install", 0.4, 0.45),
    service("rsyslog", 0.5, 0.5, 0.6),
    service("opendkim", 0.5, 0.6, 0.8, "rsyslog"),
    service("dovecot", 0.5, 0.6, 0.7, "rsyslog"),
    service("postfix", 0.5, 0.8, 1.2, "opendkim"),
]


def test_the_chain_is_walked_back_from_what_was_ready_last() -> None:
    blame = explain(reversed(BOOT))
    assert [link.name for link in blame.chain] == ["settings", "render", "install", "rsyslog", "opendkim", "postfix"]
    assert blame.total_seconds == 1.2
    assert blame.critical_seconds == pytest.approx(0.05 + 0.3 + 0.05 + 0.1 + 0.2 + 0.4)
    assert [link.gap_seconds for link in blame.chain] == pytest.approx([0.05, 0, 0, 0.05, 0, 0])
    assert [span.name for span in blame.spans][:3] == ["settings", "render", "install"]


def test_what_is_not_ready_yet_is_in_no_chain() -> None:
    blame = explain([*BOOT, service("clamav", 0.5, 0.6, None), service("amavis", 0.5, None, None)])
    assert blame.chain[-1].name == "postfix"
    assert {"clamav", "amavis"} <= {span.name for span in blame.spans}


def test_late_services_are_not_the_boot() -> None:
    assert explain([*BOOT, service("freshclam", 1.2, 1.2, 9.0, kind="late")]).total_seconds == 1.2


def test_a_dependency_that_is_unknown_falls_back_to_the_phases() -> None:
    names = [link.name for link in explain([*BOOT, service("x", 0.5, 1.0, 2.0, "gone")]).chain]
    assert names == ["settings", "render", "install", "x"]


def test_a_service_of_the_name_of_a_phase_is_told_apart() -> None:
    spans = [phase("render", 0.0, 0.5), service("render", 0.5, 0.6, 0.7), service("b", 0.5, 0.7, 0.9, "render")]
    assert [(link.name, link.kind) for link in explain(spans).chain] == [
        ("render", "phase"), ("render", "service"), ("b", "service"),
    ]  # fmt: skip


def test_a_circle_of_waiting_ends() -> None:
    spans = [service("a", 0, 0.2, 0.3, "b"), service("b", 0, 0.1, 0.2, "a")]
    assert [link.name for link in explain(spans).chain] == ["b", "a"]


def test_before_the_boot_there_is_nothing() -> None:
    blame = explain([])
    assert (blame.total_seconds, blame.critical_seconds, blame.chain) == (0.0, 0.0, [])


moments = st.floats(0, 100, allow_nan=False)


@given(
    st.lists(
        st.builds(
            service, st.sampled_from("abcdef"), moments, st.none() | moments, st.none() | moments,
            st.sampled_from(["", *"abcdef"]), st.sampled_from(["phase", "service", "late"]),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_whatever_the_spans_the_chain_fits_into_the_boot(spans: list[Span]) -> None:
    blame = explain(spans)
    assert blame.critical_seconds <= max((link.ended for link in blame.chain), default=0.0) + 1e-3
    assert all(link.seconds >= 0 and link.gap_seconds >= 0 for link in blame.chain)
    assert all(link.kind != "late" for link in blame.chain)
