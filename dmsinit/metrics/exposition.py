"""Metrics as text: the Prometheus format 0.0.4, which promtool and people with curl read, and OpenMetrics 1.0."""

import math
from collections.abc import Iterable, Sequence
from types import SimpleNamespace

from dmsinit.metrics._prometheus import Metric, generate_openmetrics

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def openmetrics(families: Sequence[Metric]) -> bytes:
    """Return families as OpenMetrics 1.0 text."""
    registry = SimpleNamespace(collect=lambda: families)  # all that the writer asks of a registry
    text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call] # the library has no types there
    return text


def prometheus(families: Iterable[Metric]) -> bytes:
    """Return families in the Prometheus text format 0.0.4, where a counter's name ends in `_total` throughout."""
    lines: list[str] = []
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
        lines += (f"# HELP {name} {text}", f"# TYPE {name} {family.type}")
        for sample in family.samples:
            labels = ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in sample.labels.items())
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            lines.append(f"{name} {_number(sample.value)}")
    return "".join(f"{line}\n" for line in lines).encode()


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else str(value)
