"""A program that never waits: the export thread gets the interpreter lock only where the program gives way."""

import json
import sys

from support.processes import run

LOOP = """
import sys, lmspan

session = lmspan.init(exporters="file")

@lmspan.tool
def look(number):
    return number

sys.setswitchinterval(60)  # no thread takes the lock from another one
for number in range(60_000):
    look(number)
sys.setswitchinterval(0.005)
print(session.force_flush(60))
"""


def span_ids(directory):
    for path in directory.glob("traces*.jsonl"):
        for line in path.read_text().splitlines():
            for resource in json.loads(line)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    yield from (span["spanId"] for span in scope["spans"])


def test_a_loop_that_never_waits_loses_no_span(tmp_path):
    done = run([sys.executable, "-c", LOOP], {"LMSPAN_DIR": str(tmp_path)}, timeout=600)
    assert (done.stdout, done.stderr) == ("True\n", "")
    ids = list(span_ids(tmp_path))
    assert (len(ids), len(set(ids))) == (60_000, 60_000)
