"""The parts of prometheus-client that PID 1 needs, without the rest.

The package's `__init__` imports everything, HTTP and WSGI servers included: 6.1 MiB of RSS for PID 1. Metric families
and the OpenMetrics writer alone are 0.15 MiB. So these submodules are imported beside the package, whose `__init__`
does not run; a later `import prometheus_client` runs it and works as usual. Should a version of the package be laid out
in another way, the plain import takes over and costs its memory.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PACKAGE = "prometheus_client"


@contextmanager
def _without_init() -> Iterator[None]:
    """Let an empty package stand for prometheus_client, unless that is imported already or does not exist."""
    spec = None if _PACKAGE in sys.modules else importlib.util.find_spec(_PACKAGE)
    if spec is None:
        yield
        return
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[_PACKAGE]


try:
    with _without_init():
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
        from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
except ImportError:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

__all__ = ["CounterMetricFamily", "GaugeMetricFamily", "Metric", "generate_openmetrics"]
