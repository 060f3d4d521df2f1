import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from dmsinit.metrics._prometheus import CounterMetricFamily, GaugeMetricFamily
from dmsinit.metrics.exposition import openmetrics, prometheus

values = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), st.floats(allow_nan=False), max_size=5)


@given(values)
def test_both_formats_say_the_same_to_their_parsers(samples: dict[str, float]) -> None:
    gauge = GaugeMetricFamily("dms_g", 'help \\ with "all"\nof it', labels=["one"])
    counter = CounterMetricFamily("dms_c", "help", labels=["one"])
    for label, value in samples.items():
        gauge.add_metric([label], value)
        counter.add_metric([label], abs(value))
    for text, parse in (
        (prometheus([gauge, counter]), parse_prometheus),
        (openmetrics([gauge, counter]), parse_openmetrics),
    ):
        read_gauge, read_counter = parse(text.decode())
        assert read_gauge.documentation == gauge.documentation
        assert {one.labels["one"]: one.value for one in read_gauge.samples} == samples
        assert read_counter.type == "counter"
        assert {one.name for one in read_counter.samples} <= {"dms_c_total"}


def test_numbers_and_names_are_written_as_the_format_has_them() -> None:
    gauge = GaugeMetricFamily("dms_limit_bytes", "Limit.", value=math.inf)
    counter = CounterMetricFamily("dms_things", "Things.", value=3)
    assert prometheus([gauge, counter]) == (
        b"# HELP dms_limit_bytes Limit.\n# TYPE dms_limit_bytes gauge\ndms_limit_bytes +Inf\n"
        b"# HELP dms_things_total Things.\n# TYPE dms_things_total counter\ndms_things_total 3\n"
    )
