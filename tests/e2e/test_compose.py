"""docker-compose.yml and what it mounts: by Docker where that is, else read as the YAML that it is."""

import json
import re
import subprocess

import pytest
import yaml

import lmspan
from support.processes import run_python
from support.stack import ROOT, collector_and_jaeger, eventually, fetch

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DASHBOARD = json.loads((ROOT / "collector-config/grafana/dashboards/lmspan.json").read_text())

USED = """
import lmspan
from lmspan import semconv as sc
with lmspan.init("used"):
    with lmspan.operation("optimize", "best") as best:
        best.facts[sc.OPTIMIZER_NAME] = "best"
        with lmspan.operation("evaluate", "exact") as call:
            for hit in (False, True):
                with lmspan.operation("lm", "m") as model:
                    model.found.update({sc.USAGE_INPUT_TOKENS: 3, sc.COST_AMOUNT: 0.5, sc.COST_UNIT: "USD"})
                    if hit:
                        model.found[sc.CACHE_HIT] = True
            call.found[sc.EVALUATION_SCORE] = 75.0
        best.found[sc.OPTIMIZER_BEST_SCORE] = 75.0
"""


def test_docker_accepts_it_where_there_is_a_docker():
    known = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if known.returncode != 0:
        pytest.skip("no `docker compose` on this machine; the file is read as YAML by the other tests")
    done = subprocess.run(
        ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "config", "-q"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_image_has_a_version_and_every_port_is_on_the_loopback():
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_what_is_mounted_is_there_and_every_volume_is_declared():
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], mount


def test_the_services_find_each_other():
    files = {
        name: (ROOT / "collector-config" / name).read_text()
        for name in ("prometheus.yaml", "grafana/provisioning/datasources/lmspan.yaml")
    }
    named = {host for text in files.values() for host in re.findall(r"(?:http://|\")(\w+):\d+", text)}
    named.add(SERVICES["collector"]["environment"]["JAEGER_ENDPOINT"].partition(":")[0])
    assert named == {"collector", "prometheus", "jaeger"}
    sources = yaml.safe_load(files["grafana/provisioning/datasources/lmspan.yaml"])["datasources"]
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} <= {source["uid"] for source in sources}


@pytest.mark.e2e
def test_everything_on_the_dashboard_is_measured(tmp_path):
    asked = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b((?:gen_ai|lmspan|traces_span)_\w+?)\{", target["expr"])
    }
    assert len(asked) == 7
    with collector_and_jaeger(tmp_path) as (sender, _):
        if not hasattr(sender, "prometheus"):
            pytest.skip("the Collector of a running stack publishes no metrics to this machine")
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sender.http, "OTEL_METRICS_EXPORTER": "otlp"}
        done = run_python(USED, environ=environ)
        assert (done.returncode, done.stderr) == (0, "")
        told = eventually(
            lambda: fetch(sender.prometheus) or "", lambda text: all(f"{each}{{" in text for each in asked)
        )
    assert sorted(each for each in asked if f"{each}{{" not in told) == []


def test_the_head_of_the_file_names_the_demo_as_it_is():
    text = (ROOT / "docker-compose.yml").read_text()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_METRICS_EXPORTER=otlp lmspan demo" in text
    assert lmspan.__version__
