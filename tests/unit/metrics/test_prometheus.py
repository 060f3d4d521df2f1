"""What importing the library costs PID 1, seen from a fresh interpreter."""

import json
import subprocess
import sys


def run(script: str) -> object:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def test_metrics_do_not_drag_in_web_servers() -> None:
    heavy = run(
        "import sys, json; import dmsinit.metrics.registry;"
        "heavy = {'http.server', 'wsgiref', 'urllib.request', 'prometheus_client'};"
        "print(json.dumps(sorted(heavy & sys.modules.keys())))"
    )
    assert heavy == []


def test_the_library_works_as_usual_afterwards() -> None:
    assert run(
        "import json; import dmsinit.metrics.registry as r; import prometheus_client as p;"
        "import prometheus_client.metrics_core as c;"
        "print(json.dumps([p.generate_latest(p.CollectorRegistry()).decode(), c.Metric is r.Metric]))"
    ) == ["", True]
