"""Two gateways, Kafka, two samplers, a store of three nodes and the query service; and what lmspan sends to them."""

import contextlib
import itertools
import sys
import threading
import time

from support import pages
from support.cluster import Kafka, addresses, cluster, install_layout, path_with_programs, post
from support.otlp import http_receiver
from support.processes import run
from support.stack import Collector, Jaeger

SPANS_A_TRACE = 49

RUNS = """
import contextlib
import random
import sys
import lmspan
from lmspan import semconv as sc
session = lmspan.init("runs", exporters=["otlp"], capture_content=sys.argv[3])
WORDS = [f"{first}{second}{third}" for first in "bdfgkl" for second in ("a", "ein", "or", "ul") for third in "mnrst"]
for number in range(int(sys.argv[1])):
    kind = ("plain", "failed", "expensive", "evaluate")[number % 4]
    with contextlib.suppress(ValueError):
        with lmspan.operation("evaluate" if kind == "evaluate" else "agent", "run") as call:
            print(kind, f"{call.span.get_span_context().trace_id:032x}")
            for _ in range(int(sys.argv[2]) // 2):
                prompt = " ".join(random.choices(WORDS, k=240))
                with lmspan.operation("lm", "m", inputs={"messages": prompt}) as model:
                    model.late_facts.update({sc.USAGE_INPUT_TOKENS: 280, sc.COST_UNIT: "USD"})
                    model.late_facts[sc.COST_AMOUNT] = 1.0 if kind == "expensive" else 0.0001
                with lmspan.operation("tool", "weather", inputs={"city": "Graz"}) as tool:
                    tool.outputs = "sun"
            if kind == "failed":
                raise ValueError
    if number % int(sys.argv[4]) == 0:
        assert session.force_flush(30)
assert session.force_flush(30)
"""


def recorded(count, content="span"):
    """The requests that lmspan sends for so many traces, and the kind of each trace by its id."""
    with http_receiver() as (endpoint, received):
        command = [sys.executable, "-c", RUNS, str(count), str(SPANS_A_TRACE), content, str(count // 40 + 1)]
        done = run(command, {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, timeout=900)
        assert (done.returncode, done.stderr) == (0, "")
    return received.requests, {trace_id: kind for kind, trace_id in map(str.split, done.stdout.splitlines())}


class Tiers:
    """Two gateways, Kafka, two samplers, a store of three nodes, and the query service."""

    def __init__(self, directory, **environ):
        self.directory, self.environ = directory, environ

    def __enter__(self):
        """Start from the back: the addresses of a program are certain when it runs."""
        path = path_with_programs(self.directory)
        self.store = cluster(self.directory)
        for node in self.store:
            node.start()
        install_layout(self.store[0])
        self.kafka = Kafka(self.directory / "kafka", path)
        self.kafka.start()
        self.places = {
            "OPENSEARCH": addresses(self.store, "STORE_PORT"), "REPLICAS": "1", "KAFKA": f"[{self.kafka.address}]",
            "PATH": path, **self.environ,
        }  # fmt: skip
        self.samplers = self.started(Jaeger, "kafka-sampler.yaml", "sampler-1", "sampler-2")
        self.gateways = self.started(Collector, "kafka-gateway.yaml", "gateway-1", "gateway-2")
        (self.query,) = self.started(Jaeger, "jaeger-durable.yaml", "query")
        return self

    def started(self, kind, config, *names):
        """Start programs by the page's commands with a configuration, of which the last one is for all that follow."""
        commands = pages.commands("scale-out.md", config)
        made = [kind(config=config, directory=self.directory / name, **self.places) for name in names]
        for program, command in itertools.zip_longest(made, commands, fillvalue=commands[-1]):
            program.as_told(command)
            program.start()
        return made

    @property
    def victims(self):
        return [*self.gateways, self.kafka, *self.samplers, *self.store, self.query]

    def __exit__(self, *_):
        for program in reversed(self.victims):
            with contextlib.suppress(AttributeError):  # it was not started
                program.kill()

    def send(self, requests, pause_s=0.0):
        """Send each request to a gateway until one accepts it."""
        for request in requests:
            gateways = itertools.cycle(self.gateways)
            while not accepted(next(gateways), request):
                time.sleep(0.2)
            time.sleep(pause_s)

    def send_while(self, requests, pause_s, disturb):
        sending = threading.Thread(target=self.send, args=[requests, pause_s])
        sending.start()
        disturb()
        sending.join()


def accepted(gateway, request):
    try:
        post(f"{gateway.http}/v1/traces", request.SerializeToString(), "application/x-protobuf")
    except OSError:
        return False
    return True


def ids(requests):
    """The (trace id, span id) of every span."""
    return [
        (span.trace_id.hex(), span.span_id.hex())
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def crash(program):
    """Kill a program, leave it away for a while, and start it again."""
    program.kill()
    time.sleep(3)
    program.start()
