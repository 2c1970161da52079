"""Real Jaeger and Collector processes on the loopback, each with a directory and ports of its own."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from lmspan.viewer import store

ROOT = Path(__file__).parent.parent.parent
CONFIGS = ROOT / "collector-config"
BINARIES = Path(os.environ.get("TEST_LMSPAN_E2E_BIN", Path.home() / ".cache" / "lmspan-e2e" / "bin"))
PATIENCE_S = 60


def binary(name):
    """The path of a real program; the test is skipped, with the reason, where it is not."""
    path = shutil.which(name, path=str(BINARIES)) or shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} in {BINARIES} nor on the PATH; `.ci/backends` builds it")
    return path


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
            return answer.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def eventually(ask, wanted=bool):
    """Ask until the answer is what is wanted; give the last answer when the patience is at its end."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


class Program:
    """A process that can be stopped and started again with its ports and its directory."""

    cwd = ROOT

    def __init__(self, name, config, directory, ready, **environ):
        self.command = [binary(name), "--config", str(CONFIGS / config)]
        self.environ = {**os.environ, "STORAGE": str(directory / "storage"), **environ}
        self.log = directory / "log"
        self.ready = ready
        directory.mkdir(parents=True, exist_ok=True)

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, cwd=self.cwd, env=self.environ, stdout=log, stderr=log)
        if not eventually(lambda: fetch(self.ready) is not None or self.process.poll() is not None):
            pytest.fail(f"not ready: {self.log.read_text()[-2000:]}")
        assert self.process.poll() is None, self.log.read_text()[-2000:]

    def as_told(self, command, cwd=ROOT):
        """Be started by a page's command: one, so that the shell becomes the program."""
        self.command, self.cwd = ["bash", "-c", command], cwd

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:  # Jaeger waits for its clients to go
            self.process.kill()
            self.process.wait(10)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


def collector(config, directory, **environ):
    """A Collector with one of our configurations; `http` and `grpc` are where it listens."""
    ports = {name: str(free_port()) for name in ("GRPC_PORT", "HTTP_PORT", "HEALTH_PORT")}
    ready = f"http://127.0.0.1:{ports['HEALTH_PORT']}"
    made = Program("otelcol", config, directory, ready, **{**ports, **environ})
    made.http = f"http://127.0.0.1:{ports['HTTP_PORT']}"
    made.grpc = f"http://127.0.0.1:{ports['GRPC_PORT']}"
    return made


class Jaeger(Program):
    """A Jaeger with our configuration."""

    def __init__(self, directory):
        names = ("GRPC_PORT", "HTTP_PORT", "UI_PORT", "QUERY_PORT", "HEALTH_PORT")
        ports = {name: str(free_port()) for name in names}
        self.http = f"http://127.0.0.1:{ports['HTTP_PORT']}"
        self.grpc = f"http://127.0.0.1:{ports['GRPC_PORT']}"
        self.address = f"127.0.0.1:{ports['GRPC_PORT']}"
        self.ui = f"http://127.0.0.1:{ports['UI_PORT']}"
        super().__init__("jaeger", "jaeger.yaml", directory, f"http://127.0.0.1:{ports['HEALTH_PORT']}/status", **ports)

    def trace(self, trace_id):
        return stored(self.ui, trace_id)


class Prometheus(Program):
    """A Prometheus with our configuration, started as docker-compose.yml does."""

    def __init__(self, directory):
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        super().__init__("prometheus", "prometheus.yaml", directory, f"{self.url}/-/ready")
        options = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]["command"]
        places = {"=/etc/prometheus": f"={CONFIGS}", "=/prometheus": "=."}
        for place, here in places.items():
            options = [option.replace(place, here) for option in options]
        self.command = [self.command[0], *options, f"--web.listen-address=127.0.0.1:{port}"]
        self.cwd = directory

    def ask(self, what, **parameters):
        """The `data` of an answer of its HTTP API."""
        return json.loads(fetch(f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}") or "{}").get("data")

    def values(self, question):
        """What a question comes to now: the values by label."""
        found = self.ask("query", query=question) or {"result": []}
        return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in found["result"]}


class Compose:
    """A stack that runs already: `LMSPAN_E2E_JAEGER` is its Jaeger, its Collector is on the standard ports."""

    http, grpc = "http://127.0.0.1:4318", "http://127.0.0.1:4317"
    ui = os.environ.get("TEST_LMSPAN_E2E_JAEGER", "")

    def trace(self, trace_id):
        return stored(self.ui, trace_id)


def stored(ui, trace_id):
    """A trace as Jaeger has it, None when it has none."""
    answer = fetch(f"{ui}/api/v3/traces/{trace_id}")
    if answer is None:
        return None
    found = store.read_requests([json.loads(answer)["result"]]).traces
    return found.get(trace_id)


@contextlib.contextmanager
def collector_and_jaeger(directory, **environ):
    """Give where to send to, and the Jaeger where it arrives."""
    if Compose.ui:
        yield Compose, Compose()
        return
    with Jaeger(directory / "jaeger") as jaeger:
        with collector("collector.yaml", directory / "collector", JAEGER_ENDPOINT=jaeger.address, **environ) as made:
            yield made, jaeger


@contextlib.contextmanager
def collector_and_prometheus(directory):
    """Give where to send to, and the Prometheus where metrics arrive; Jaeger is away, and nobody waits for it."""
    with Prometheus(directory / "prometheus") as prometheus:
        environ = {"PROMETHEUS_ENDPOINT": prometheus.url, "METRICS_INTERVAL": "1s"}
        with collector("collector.yaml", directory / "collector", **environ) as made:
            yield made, prometheus
