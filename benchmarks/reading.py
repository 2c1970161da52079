"""What reading traces costs: index, list, show, find one of 800,000 spans.

    python benchmarks/reading.py [--spans 100000] [--big] [--keep DIRECTORY]

The files are those of an optimizer night: candidates, evaluations, examples, modules, adapter phases and model calls
with content, written by lmspan itself. Each figure is the processor time of a fresh process, and its greatest memory.
`--big` adds the trace among 800,000 spans in 1 GB of files: copies of the night with other ids.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPANS_OF_AN_EXAMPLE = 5
EXAMPLES = 100  # of a candidate
SPANS_OF_A_CANDIDATE = SPANS_OF_AN_EXAMPLE * EXAMPLES + 2
WORDS = Path(__file__).parent.parent.joinpath("docs", "architecture.md").read_text().split()


def record(directory: Path, spans: int) -> None:
    """Record a trace of about so many spans."""
    os.environ["LMSPAN_DIR"] = str(directory)
    import lmspan
    from lmspan.lifecycle import Operation

    rnd = random.Random(1)
    session = lmspan.init("night", exporters=["file"], instrument=[], capture_content="span")

    def text(count: int) -> str:
        return " ".join(rnd.choices(WORDS, k=count))

    prompt = text(120)
    model = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 300,
             "gen_ai.usage.output_tokens": 40, "lmspan.cost.amount": 0.0001}  # fmt: skip

    def example(index: int) -> None:
        question, answer = {"question": text(20)}, text(30)
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": question["question"]}]
        facts = {"lmspan.evaluation.example.index": index, "gen_ai.evaluation.score.value": float(index % 2)}
        with (
            lmspan.operation(Operation.EXAMPLE, "", attributes=facts, inputs=question),
            lmspan.operation(Operation.MODULE, "answer", inputs=question) as module,
        ):
            with lmspan.operation(Operation.ADAPTER_FORMAT, "ChatAdapter", inputs=question) as phase:
                phase.outputs = messages
            with lmspan.operation(Operation.LM, "gpt-4o-mini", attributes=model, inputs={"messages": messages}) as call:
                call.outputs = [answer]
            with lmspan.operation(Operation.ADAPTER_PARSE, "ChatAdapter", inputs={"completion": answer}):
                module.outputs = {"answer": answer}

    with lmspan.operation(Operation.OPTIMIZE, "MIPROv2", inputs={"student": "Predict"}):
        for number in range(max(spans // SPANS_OF_A_CANDIDATE, 1)):
            candidate = {"index": number, "id": str(number), "score": number / 1000, "scope": "full"}
            facts = {f"lmspan.optimizer.candidate.{name}": value for name, value in candidate.items()}
            with (
                lmspan.operation(Operation.CANDIDATE, "", attributes=facts),
                lmspan.operation(Operation.EVALUATE, "exact"),
            ):
                for index in range(EXAMPLES):
                    example(index)
            session.force_flush(60)
    session.shutdown(60)


def copy(source: Path, target: Path, numbers: range) -> None:
    """Copy the files with other trace ids, which begin with a number: each copy as a trace of its own."""
    for number in numbers:
        for path in sorted(source.glob("traces*.jsonl")):
            with path.open() as lines, (target / f"traces-{number}-{path.name}").open("w") as copied:
                copied.writelines(re.sub(r'"traceId":"........', f'"traceId":"{number:08x}', line) for line in lines)


def deal(source: Path, target: Path) -> None:
    """Copy the files with every five spans as a trace of their own, as a service leaves them."""
    for path in source.glob("traces*.jsonl"):
        with path.open() as lines, (target / path.name).open("w") as dealt:
            for line in lines:
                request = json.loads(line)
                spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
                for begin in range(0, len(spans), SPANS_OF_AN_EXAMPLE):
                    own = spans[begin : begin + SPANS_OF_AN_EXAMPLE]
                    trace, ids = f"{random.getrandbits(128):032x}", {span["spanId"] for span in own}
                    for span in own:
                        parent = span.get("parentSpanId")
                        span.update(traceId=trace, parentSpanId=parent if parent in ids else "")
                dealt.write(json.dumps(request, separators=(",", ":")) + "\n")


def measured(*arguments: str, directory: Path) -> tuple[float, float, int, str]:
    """Run `lmspan` in a process of its own; return processor time, wall time, memory in MB, and the output."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "lmspan", *arguments], env={**os.environ, "LMSPAN_DIR": str(directory)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    output = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss // 1024, output


def row(title: str, directory: Path, *arguments: str, size: int = 0) -> str:
    seconds, wall, memory, output = measured(*arguments, directory=directory)
    speed = f"{size / 1e6 / seconds:8.0f} MB/s" if size else " " * 13
    print(f"{title:<52}{seconds:7.2f} s CPU{wall:8.2f} s{speed}{memory:7} MB{len(output.splitlines()):9,} lines")
    return output


def rows_of_spans(directory: Path) -> None:
    row("spans, by cost", directory, "spans", "operation:lm cost>0.00005", "--sort", "duration")
    row("spans, below a module", directory, "spans", "operation:lm under:answer", "--sort", "duration")
    row("spans, by a word", directory, "spans", "recorder operation:lm", "--sort", "duration")
    row("spans, by an attribute", directory, "spans", "gen_ai.request.model:mini", "--sort", "duration")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        record(options.record, options.spans)
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        for spans in (options.spans // 5, options.spans):
            directory = root / str(spans)
            subprocess.run([sys.executable, __file__, "--record", str(directory), "--spans", str(spans)], check=True)
            size = sum(path.stat().st_size for path in directory.glob("traces*.jsonl"))
            print(f"\na trace of about {spans:,} spans, {size / 1e6:.0f} MB")
            row("list, without an index", directory, "list", size=size)
            row("list", directory, "list")
            row("show", directory, "show")
            row("show --full", directory, "show", "--full")
            row("show last 7, one span", directory, "show", "last", "7")
            row("stats", directory, "stats")
            row("list --text", directory, "list", "--text", "recorder span")
            rows_of_spans(directory)
        dealt = root / "dealt"
        dealt.mkdir()
        deal(directory, dealt)
        print("\nthe same spans in traces of five")
        row("list, without an index", dealt, "list", size=size)
        row("list", dealt, "list")
        row("show 5", dealt, "show", "5")
        row("stats", dealt, "stats")
        row("list --text", dealt, "list", "--text", "recorder span")
        rows_of_spans(dealt)
        if options.big:
            big = root / "big"
            big.mkdir()
            copy(directory, big, range(8))
            tiny = root / "tiny"
            record(tiny, 1)
            copy(tiny, big, range(8, 9))
            size = sum(path.stat().st_size for path in big.glob("traces*.jsonl"))
            print(f"\n{size / 1e6:.0f} MB in {len(list(big.glob('traces*.jsonl')))} files")
            row("list, without an index", big, "list", size=size)
            row("list", big, "list")
            row("show 00000008 7, one span of a small trace", big, "show", "00000008", "7")
            row("list --text", big, "list", "--text", "recorder span")


if __name__ == "__main__":
    main()
