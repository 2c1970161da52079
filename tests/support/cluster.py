"""The tiers of collector-config/scale-out as processes of this machine: OpenSearch and Kafka from their jars."""

import json
import os
import shutil
import socket
import urllib.request
from pathlib import Path

import pytest
import yaml

from support import pages
from support.stack import BINARIES, CONFIGS, ROOT, Program, binary, fetch

LOGGING = Path(__file__).parent / "log4j2.properties"


def jars(name):
    """The class path of a program; the test is skipped, with the reason, where it is not."""
    directory = BINARIES / name
    if not directory.exists() or shutil.which("java") is None:
        pytest.skip(f"no {directory}, or no Java; `.ci/backends distributed` brings the jars")
    return f"{directory}/*"


def post(url, body, content_type):
    """Send a request to one of our processes; raises OSError where it is away or refuses."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
        return answer.read()


class OpenSearch(Program):
    """A node of OpenSearch; several of them, with the same list of peers, are a cluster."""

    patience_s = 300  # copies of shards are made whole again
    ports = ("STORE_PORT", "PEERS_PORT")
    answers = "{STORE_PORT}/_cluster/health?wait_for_status=green&timeout=4s"

    def __init__(self, directory, name="store", heap="512m"):
        super().__init__([], directory)
        self.name, self.heap, self.directory = name, heap, directory
        self.peers = [self]

    def start(self):
        settings = {
            **yaml.safe_load((CONFIGS / "opensearch/opensearch.yml").read_text()),
            "path.home": self.directory, "node.name": self.name, "network.host": "127.0.0.1",
            "http.port": self.environ["STORE_PORT"], "transport.port": self.environ["PEERS_PORT"],
            "discovery.seed_hosts": ",".join(f"127.0.0.1:{peer.environ['PEERS_PORT']}" for peer in self.peers),
            "cluster.initial_cluster_manager_nodes": self.peers[0].name,
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }  # fmt: skip
        (self.directory / "config").mkdir(exist_ok=True)
        self.command = [
            "java", f"-Xms{self.heap}", f"-Xmx{self.heap}", f"-Dlog4j2.configurationFile={LOGGING}",
            "-cp", jars("opensearch"), str(LOGGING.parent / "OpenSearchNode.java"),
            *(f"{name}={value}" for name, value in settings.items()),
        ]  # fmt: skip
        super().start()

    def spans(self):
        """The (trace id, span id) of every document of a span."""
        answer = self.search({"size": 10_000, "sort": ["_doc"], "_source": ["traceID", "spanID"]}, "?scroll=5m")
        while answer["hits"]["hits"]:
            for hit in answer["hits"]["hits"]:
                yield hit["_source"]["traceID"], hit["_source"]["spanID"]
            answer = self.post("_search/scroll", {"scroll": "5m", "scroll_id": answer["_scroll_id"]})

    def search(self, query, options=""):
        fetch(self.url("{STORE_PORT}/jaeger-span-*/_refresh"))
        return self.post(f"jaeger-span-*/_search{options}", query)

    def count(self):
        """The number of spans; 0 where the store does not answer yet."""
        fetch(self.url("{STORE_PORT}/jaeger-span-*/_refresh"))
        return json.loads(fetch(self.url("{STORE_PORT}/jaeger-span-*/_count")) or "{}").get("count", 0)

    def bytes_of_spans(self):
        """What the spans take on disk, without their copies."""
        post(self.url("{STORE_PORT}/jaeger-span-*/_flush"), b"", "application/json")
        answer = json.loads(fetch(self.url("{STORE_PORT}/jaeger-span-*/_stats/store")))
        return answer["_all"]["primaries"]["store"]["size_in_bytes"]

    def post(self, place, body):
        return json.loads(post(self.url("{STORE_PORT}/") + place, json.dumps(body).encode(), "application/json"))


def cluster(directory, count=3):
    """Nodes of one cluster, not started."""
    nodes = [OpenSearch(directory / f"store-{number}", f"store-{number}") for number in range(count)]
    for node in nodes:
        node.peers = nodes
    return nodes


def install_layout(node):
    return run_script("layout.sh", node)


def retain(node):
    return run_script("retention.sh", node)


def run_script(name, node):
    """Run a script by the page's command, with the address of a node."""
    (command,) = pages.commands("scale-out.md", name)
    command = command.replace("http://127.0.0.1:9200", node.url("{STORE_PORT}"))
    done = pages.run(command, ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def path_with_programs(directory):
    """A PATH with the names that the page has for the programs of the tests."""
    java = f"exec java -Xmx512m -cp '{jars('kafka')}'"
    for name, command in {
        "kafka-storage.sh": f"{java} kafka.tools.StorageTool",
        "kafka-server-start.sh": f"{java} kafka.Kafka",
        "otelcol-contrib": f"exec {binary('otelcol')}",
        "jaeger": f"exec {binary('jaeger')}",
    }.items():
        (directory / name).write_text(f'#!/bin/sh\n{command} "$@"\n')
        (directory / name).chmod(0o755)
    return os.pathsep.join([str(directory), os.environ["PATH"]])


class Kafka(Program):
    """A broker with our configuration; its addresses and its directory are its own."""

    ports = ("KAFKA_PORT", "CONTROLLER_PORT")

    def __init__(self, directory, path):
        super().__init__([], directory, PATH=path)
        self.directory = directory

    @property
    def address(self):
        return f"127.0.0.1:{self.environ['KAFKA_PORT']}"

    def start(self):
        config = self.directory / "kafka.properties"
        text = (CONFIGS / "scale-out/kafka.properties").read_text()
        for ours, here in {
            "127.0.0.1:9092": self.address,
            "127.0.0.1:9093": f"127.0.0.1:{self.environ['CONTROLLER_PORT']}",
            "/var/lib/kafka": str(self.directory / "data"),
        }.items():
            text = text.replace(ours, here)
        config.write_text(text)
        format_storage, serve = (
            command.replace("collector-config/scale-out/kafka.properties", str(config))
            for command in pages.commands("scale-out.md", "kafka.properties")
        )
        if not (self.directory / "data").exists():
            assert pages.run(format_storage, ROOT, {"PATH": self.environ["PATH"]}).returncode == 0
        self.as_told(serve)
        super().start()

    def ready(self):
        try:
            socket.create_connection(("127.0.0.1", int(self.environ["KAFKA_PORT"])), 1).close()
        except OSError:
            return False
        return True


def addresses(programs, port):
    """A list for a configuration's variable."""
    return "[" + ",".join(program.url(f"{{{port}}}") for program in programs) + "]"
