"""docker-compose.yml and what it mounts: read by Docker Compose, which needs no engine for that, and as YAML."""

import json
import re
import subprocess
from urllib.parse import urlsplit

import pytest
import yaml

import lmspan
from support.processes import run_python
from support.stack import ROOT, binary, collector_and_prometheus, eventually

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DASHBOARD = json.loads((ROOT / "collector-config/grafana/dashboards/lmspan.json").read_text())

USED = """
import contextlib
import lmspan
from lmspan import semconv as sc
with lmspan.init("used", capture_content="none"):
    with lmspan.operation("optimize", "best") as best:
        best.facts[sc.OPTIMIZER_NAME] = "best"
        with lmspan.operation("evaluate", "exact") as call:
            for hit in (False, True):
                with lmspan.operation("lm", "m") as model:
                    model.late_facts.update({sc.USAGE_INPUT_TOKENS: 3, sc.COST_AMOUNT: 0.5, sc.COST_UNIT: "USD"})
                    if hit:
                        model.late_facts[sc.CACHE_HIT] = True
            call.late_facts[sc.SPAN_SCORE] = 75.0
        best.late_facts[sc.OPTIMIZER_BEST_SCORE] = 75.0
    with contextlib.suppress(ValueError), lmspan.operation("tool", "broken"):
        raise ValueError
"""


def profile(name):
    """The services that a profile starts."""
    return {each: service for each, service in SERVICES.items() if service.get("profiles", [name]) == [name]}


@pytest.mark.e2e
@pytest.mark.parametrize(("options", "name"), [([], "memory"), (["--profile", "durable"], "durable")])
def test_docker_compose_reads_it_as_it_is_meant(options, name):
    done = subprocess.run(
        [binary("docker-compose"), "-f", str(ROOT / "docker-compose.yml"), *options, "config", "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    services = json.loads(done.stdout)["services"]
    assert sorted(services) == sorted(profile(name))
    published = [(port["host_ip"], port["published"]) for each in services.values() for port in each.get("ports", ())]
    assert sorted(published) == [("127.0.0.1", port) for port in ("16686", "3000", "4317", "4318")]


def test_jaeger_is_found_by_one_name_in_both_profiles_and_the_store_of_one_is_bounded():
    assert set(profile("memory")) - set(profile("durable")) == {"jaeger"}
    added = set(profile("durable")) - set(profile("memory"))
    assert added == {"jaeger-durable", "layout", "opensearch", "retention"}
    assert SERVICES["jaeger-durable"]["networks"] == {"default": {"aliases": ["jaeger"]}}
    assert SERVICES["opensearch"]["mem_limit"] == "2g"
    assert SERVICES["opensearch"]["volumes"] == ["opensearch:/usr/share/opensearch/data"]


def test_every_image_has_a_version_and_every_port_is_on_the_loopback():
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_who_stays_up_is_asked_for_its_health_where_its_image_has_a_shell():
    unasked = {name for name, service in SERVICES.items() if "restart" in service and "healthcheck" not in service}
    assert unasked == {"collector"}


def test_what_is_mounted_is_there_and_every_volume_is_declared():
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], mount


def test_the_services_find_each_other():
    path = ROOT / "collector-config/grafana/provisioning/datasources/lmspan.yaml"
    sources = yaml.safe_load(path.read_text())["datasources"]
    environ = SERVICES["collector"]["environment"]
    addresses = [f"//{environ['JAEGER_ENDPOINT']}", environ["PROMETHEUS_ENDPOINT"], *(each["url"] for each in sources)]
    assert {urlsplit(address).hostname for address in addresses} == {"prometheus", "jaeger"}
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} <= {source["uid"] for source in sources}


def questions():
    """What each panel of the dashboard asks, as Grafana would in the first ten minutes."""
    asked = {"$service": ".*", "$__range": "10m", "$__interval": "10m"}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            question = target["expr"]
            for name, value in asked.items():
                question = question.replace(name, value)
            yield f"{panel['title']} {target['refId']}", question


@pytest.mark.e2e
def test_every_panel_of_the_dashboard_tells_what_two_short_programs_did(tmp_path):
    with collector_and_prometheus(tmp_path) as (sender, prometheus):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sender.http, "OTEL_METRICS_EXPORTER": "otlp"}
        for _ in range(2):
            done = run_python(USED, environ=environ)
            assert (done.returncode, done.stderr) == (0, "")
        found = eventually(
            lambda: {title: sorted(prometheus.values(question).values()) for title, question in questions()},
            lambda found: found["Errors B"] == [1] and found["Runs A"] == [4],
        )
    medians = found.pop("Latency of LM calls A"), found.pop("Latency of LM calls B")
    assert all(0 < median < 1 for (median,) in medians)
    assert found == {
        "Runs A": [4],
        "Failed runs A": [0.5],
        "Tokens A": [6],
        "Cost A": [1],
        "Cache hits A": [0.5],
        "Tokens by model A": [6],
        "Cost by model A": [1],
        "Errors A": [],
        "Errors B": [1],
        "Errors C": [],
        "Evaluations A": [75, 75],
        "Optimizers A": [75, 75],
    }


def test_the_head_of_the_file_names_the_demo_as_it_is():
    text = (ROOT / "docker-compose.yml").read_text()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_METRICS_EXPORTER=otlp lmspan demo" in text
    assert lmspan.__version__
