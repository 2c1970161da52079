"""Real Jaeger and Collector processes on the loopback, each with a directory and ports of its own."""

import contextlib
import json
import os
import shlex
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

from lmspan.traces import direct

ROOT = Path(__file__).parent.parent.parent
CONFIGS = ROOT / "collector-config"
BINARIES = Path(os.environ.get("TEST_LMSPAN_E2E_BIN", Path.home() / ".cache" / "lmspan-e2e" / "bin"))
PATIENCE_S = 60
ATTEMPTS = 5
TAKEN = "address already in use"  # as Go, Python and uvicorn say it, in any case


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


def fetch(url, timeout_s=10):
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - our own address
            return answer.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def eventually(ask, wanted=bool, patience_s=PATIENCE_S):
    """Ask until the answer is what is wanted; give the last answer when the patience is at its end."""
    deadline = time.monotonic() + patience_s
    while not wanted(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


class Program:
    """A process that can be stopped and started again with its directory and its ports.

    The ports are free when they are chosen, and another process can bind one of them before the program does: the first
    start then chooses other ones. After the first start they are known to others, and stay.
    """

    cwd = ROOT
    patience_s = PATIENCE_S
    ports = ()
    """The variables of the environment that name the ports."""
    answers = ""
    """The URL that answers when the program is ready, with the names of ports in braces."""

    def __init__(self, command, directory, **environ):
        self.command = command
        self.environ = {**os.environ, "STORAGE": str(directory / "storage"), **environ}
        self.log = directory / "log"
        self.known = False
        directory.mkdir(parents=True, exist_ok=True)
        self.choose_ports()

    def choose_ports(self):
        self.environ |= {name: str(free_port()) for name in self.ports}

    def url(self, place):
        """A URL on the loopback, from a text with the names of ports in braces."""
        return f"http://127.0.0.1:{place.format(**self.environ)}"

    def start(self):
        for _ in range(ATTEMPTS):
            if self.launched():
                self.known = True
                return
            self.stop()
            if TAKEN not in self.said.lower():
                break
            if not self.known:
                self.choose_ports()
        pytest.fail(f"not ready: {self.said[-2000:]}")

    def launched(self):
        """Start the process; give whether it is ready, and keep what it said until then."""
        with self.log.open("a") as log:
            begin = log.tell()
            self.process = subprocess.Popen(self.command, cwd=self.cwd, env=self.environ, stdout=log, stderr=log)
        eventually(lambda: self.process.poll() is not None or self.ready(), patience_s=self.patience_s)
        self.said = self.log.read_text()[begin:]
        return self.process.poll() is None and TAKEN not in self.said.lower() and self.ready()

    def ready(self):
        return fetch(self.url(self.answers), timeout_s=5) is not None

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

    def kill(self):
        """End the process as a crash does: nothing is flushed."""
        self.process.kill()
        self.process.wait(10)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Receiver(Program):
    """A program with a configuration of ours that receives OTLP; `http` and `grpc` are where it listens."""

    ports = ("GRPC_PORT", "HTTP_PORT", "HEALTH_PORT")

    def __init__(self, name, config, directory, **environ):
        super().__init__([binary(name), "--config", str(CONFIGS / config)], directory, **environ)

    @property
    def http(self):
        return self.url("{HTTP_PORT}")

    @property
    def grpc(self):
        return self.url("{GRPC_PORT}")

    @property
    def address(self):
        return self.grpc.removeprefix("http://")


class Collector(Receiver):
    """A Collector with one of our configurations."""

    answers = "{HEALTH_PORT}"

    def __init__(self, config, directory, **environ):
        super().__init__("otelcol", config, directory, **environ)


class Jaeger(Receiver):
    """A Jaeger with our configuration."""

    ports = (*Receiver.ports, "UI_PORT", "QUERY_PORT")
    answers = "{HEALTH_PORT}/status"

    def __init__(self, directory, config="jaeger.yaml", **environ):
        super().__init__("jaeger", config, directory, **environ)

    @property
    def ui(self):
        return self.url("{UI_PORT}")

    def trace(self, trace_id):
        return stored(self.ui, trace_id)


class Prometheus(Program):
    """A Prometheus with our configuration, started as docker-compose.yml does."""

    ports = ("WEB_PORT",)
    answers = "{WEB_PORT}/-/ready"

    def __init__(self, directory):
        options = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]["command"]
        places = {"=/etc/prometheus": f"={CONFIGS}", "=/prometheus": "=."}
        for place, here in places.items():
            options = [option.replace(place, here) for option in options]
        super().__init__([], directory)
        command = shlex.join([binary("prometheus"), *options])
        self.as_told(f"exec {command} --web.listen-address=127.0.0.1:$WEB_PORT", directory)

    @property
    def api(self):
        return self.url("{WEB_PORT}")

    def ask(self, what, **parameters):
        """The `data` of an answer of its HTTP API."""
        return json.loads(fetch(f"{self.api}/api/v1/{what}?{urllib.parse.urlencode(parameters)}") or "{}").get("data")

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
    traces = direct.read_requests([json.loads(answer)["result"]])
    return next((trace for trace in traces if trace.trace_id == trace_id), None)


@contextlib.contextmanager
def collector_and_jaeger(directory, **environ):
    """Give where to send to, and the Jaeger where it arrives."""
    if Compose.ui:
        yield Compose, Compose()
        return
    with Jaeger(directory / "jaeger") as jaeger:
        with Collector("collector.yaml", directory / "collector", JAEGER_ENDPOINT=jaeger.address, **environ) as made:
            yield made, jaeger


@contextlib.contextmanager
def collector_and_prometheus(directory):
    """Give where to send to, and the Prometheus where metrics arrive; Jaeger is away, and nobody waits for it."""
    with Prometheus(directory / "prometheus") as prometheus:
        environ = {"PROMETHEUS_ENDPOINT": prometheus.api, "METRICS_INTERVAL": "1s"}
        with Collector("collector.yaml", directory / "collector", **environ) as made:
            yield made, prometheus
