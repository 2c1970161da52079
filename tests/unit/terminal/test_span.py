"""One span in full, and lists and statistics as tables."""

import json

import pytest
from rich.console import Console

from lmspan import semconv as sc
from lmspan.terminal.follow import span_line
from lmspan.terminal.lists import span_list, statistics_table, trace_list
from lmspan.terminal.span import render_span
from lmspan.traces import Store, StoredEvent, StoredLink, Trace
from support.stored import SECOND, TRACE, otlp, span, write


def printed(renderable, width=80):
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: PTH123, SIM115
    console.print(renderable)
    return [line.rstrip() for line in console.export_text().splitlines()]


def shown(spans, span_id, width=80):
    trace = Trace(TRACE, spans)
    return printed(render_span(trace, trace.by_id[span_id]), width)


def test_a_model_call_is_a_conversation_with_its_place_and_its_facts():
    spans = [
        span("1", "", "module answer"),
        span("2", "1", "chat m", SECOND // 2, attributes={
            sc.INPUT_MESSAGES: json.dumps([
                {"role": "system", "parts": [{"type": "text", "content": "Be brief.\nVery."}]},
                {"role": "user", "parts": [{"type": "text", "content": "Hi \x1b[31m"}]},
            ]),
            sc.OUTPUT_MESSAGES: json.dumps([{"role": "assistant", "parts": [
                {"type": "tool_call", "name": "find", "arguments": {"q": 1}},
            ]}]),
            sc.REQUEST_MODEL: "m", sc.CALL_ID: "2",
        }),
    ]  # fmt: skip
    assert shown(spans, "2") == [
        "chat m  span 2",
        "1970-01-01 00:00:00  500 ms  1 LM call",
        "module answer",
        "",
        "system",
        "  Be brief.",
        "  Very.",
        "",
        "user",
        "  Hi ·[31m",
        "",
        "assistant",
        "  tool_call find",
        '    {"q": 1}',
        "",
        "attributes",
        "  gen_ai.request.model m",
    ]


def test_a_medium_is_one_line():
    blob = {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "content": "<12345 bytes, sha256:ab12cd34ef56>",
    }
    spans = [
        span("1", "", "module look", attributes={sc.MODULE_INPUTS: json.dumps({"image": blob, "question": "What?"})}),
        span("2", "1", "chat m", attributes={sc.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [blob]}])}),
    ]
    phrase = "image/png, 12.3 kB, sha256:ab12cd34…"
    assert shown(spans, "1")[3:8] == ["inputs", "  image", f"    {phrase}", "  question", "    What?"]
    assert shown(spans, "2")[4:] == ["user", "  blob", f"    {phrase}"]


def test_a_tool_shows_arguments_result_error_events_and_links():
    stack = 'Traceback\n  File "/app/shop.py", line 7, in find\n    raise Empty\n'
    spans = [
        span("1", "", "execute_tool find", status=2, attributes={
            sc.TOOL_CALL_ARGUMENTS: '{"city": "Porto"}', sc.ERROR_TYPE: "shop.Empty",
        }, events=(
            StoredEvent("exception", 1, {sc.EXCEPTION_TYPE: "shop.Empty", sc.EXCEPTION_MESSAGE: "no tea",
                                         sc.EXCEPTION_STACKTRACE: stack}),
            StoredEvent("lmspan.lm.retry", SECOND // 2, {"lmspan.lm.retry.attempt": 1}),
        ), links=(StoredLink("cd" * 16, "9", {"lmspan.link.type": "fork"}),)),
    ]  # fmt: skip
    assert shown(spans, "1") == [
        "execute_tool find  span 1",
        "1970-01-01 00:00:00  1.0 s",
        "",
        "inputs",
        "  city",
        "    Porto",
        "",
        "error",
        "  shop.Empty: no tea",
        "  /app/shop.py:7 in find",
        "  Traceback",
        '    File "/app/shop.py", line 7, in find',
        "      raise Empty",
        "",
        "",
        "attributes",
        "  error.type shop.Empty",
        "",
        "events",
        "  +500 ms  lmspan.lm.retry  attempt=1",
        "",
        f"fork  trace {'cd' * 16}  span 9",
    ]


def candidates(before, after):
    prefix = "lmspan.optimizer.candidate."
    facts = [
        {"id": "a", "index": 0, "score": 0.5, "scope": "full", "accepted": True,
         "instructions": json.dumps({"p": before})},
        {"id": "b", "index": 1, "score": 0.25, "scope": "minibatch", "accepted": False, "parent_ids": ["a"],
         "reason": "not better", "changed": ["p.instructions"], "instructions": json.dumps({"p": after}),
         "demos": json.dumps({"p": [{"q": "1"}]})},
    ]  # fmt: skip
    return [span("o", "", "optimize GEPA", 0, 9)] + [
        span(f"c{n}", "o", "candidate", n + 1, attributes={prefix + name: value for name, value in each.items()})
        for n, each in enumerate(facts)
    ]


def test_a_candidate_shows_the_decision_and_the_words_that_changed():
    lines = shown(candidates("Answer the question briefly.", "Answer the question well."), "c1")
    start = lines.index("candidate 1  score 0.25  on minibatch data  not accepted: not better")
    assert lines[start + 1 : start + 10] == [
        "changed: p.instructions",
        "",
        "instructions of p",
        "  Answer the question [-briefly-]{+well+}.",
        "",
        "demonstrations of p",
        "  [",
        "    {",
        '      "q": "1"',
    ]
    lines = shown(candidates("Answer.", "Think before you speak."), "c1")
    assert lines[lines.index("instructions of p") + 1 :][:2] == ["  - Answer.", "  + Think before you speak."]


def test_an_optimizer_shows_all_candidates():
    spans = candidates("a", "b")
    text = "\n".join(shown(spans, "o", 100))
    assert "optimize GEPA  2 evaluations of 2 candidates  0.5 → 0.5" in text
    assert "not better" in text


def test_a_list_fits_80_columns_with_whole_figures(tmp_path):
    chat = {"gen_ai.usage.input_tokens": 123456, "gen_ai.usage.output_tokens": 6789, "lmspan.cost.amount": 0.001234}
    question = {"lmspan.module.inputs": {"question": "Where is good tea in a city as large as this one?"}}
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "module a-name-that-is-long", 0, 80, "ab", question, status=2),
        otlp("2", "1", "chat m", 0, 80, "ab", chat),
        otlp("1", "", "evaluate e", 90, 91, "cd", {"gen_ai.evaluation.score.value": 0.75}),
        service="a-service",
    )
    lines = printed(trace_list(Store(tmp_path).list()))
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split()[:4] == ["#", "trace", "started", "root"]
    assert lines[1].split() == ["1", "cdcdcdcd", "00:01:30", "evaluate", "e", "1.0", "s", "0.75"]
    assert lines[2].split()[-10:] == ["1", "min", "20", "s", "123456", "→", "6789", "$0.001234", "1", "failed"]
    wide = printed(trace_list(Store(tmp_path).list()), 200)
    assert "a-service" in wide[2]
    assert "Where is good tea in a city as large as this one?" in wide[2]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_list_names_its_traces_and_cuts_no_figure_at_any_width(width, tmp_path):
    chat = {"gen_ai.usage.input_tokens": 11266, "gen_ai.usage.output_tokens": 777, "lmspan.cost.amount": 0.002156}
    scores = {"lmspan.optimizer.first_score": 1 / 3, "lmspan.optimizer.best_score": 1 / 3}
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "optimize MIPROv2", 0, 80, "ab", scores),
        otlp("1", "", "execute_tool find", 90, 91, "cd", status=2),
        otlp("1", "", "chat gpt-4o-mini", 100, 101, "ef", chat),
        service="lmspan-demo",
    )
    titles, last, middle, first = printed(trace_list(Store(tmp_path).list()), width)
    assert ("optimize MIPROv2" if width > 40 else "optimize M") in first
    assert "1 min 20 s" in first
    assert first.endswith("0.3333 → 0.3333")
    assert middle.endswith("1 failed")
    assert ("cost" in titles, "tokens" in titles) == (width > 40, width > 60)
    assert ("$0.002156" in last, "11266 → 777" in last) == (width > 40, width > 60)
    assert ("lmspan-de" in first) is (width == 120)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_list_of_spans_names_them_and_cuts_no_figure_at_any_width(width, tmp_path):
    chat = {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 11266, "lmspan.cost.amount": 0.002156,
            "gen_ai.usage.output_tokens": 777, "gen_ai.response.time_to_first_chunk": 0.25,
            "lmspan.lm.attempt_count": 3}  # fmt: skip
    write(
        tmp_path / "traces.jsonl",
        otlp("1234567890abcdef", "", "module answer", 10, 90, "ab"),
        otlp("2", "1234567890abcdef", "chat gpt-4o-mini", 20, 21, "ab", chat),
        otlp("3", "1234567890abcdef", "execute_tool find", 22, 24, "ab", {"error.type": "shop.Closed"}, status=2),
        otlp("4", "1", "chat m", 25, 26, "ab", {**chat, "lmspan.lm.cache.hit": True, "lmspan.lm.attempt_count": 2}),
        service="lmspan-demo",
    )
    titles, cached, tool, model, root = printed(span_list(Store(tmp_path).spans()), width)
    assert max(map(len, (titles, cached, tool, model, root))) <= width
    assert "12345678 " in root
    assert ("1 min 20 s" in root, "1.0 s" in model) == (True, True)
    assert tool.endswith(" Closed")
    assert model.endswith("2 retries")
    assert cached.endswith("cached  1 retry")
    assert ("abababab" in model, "$0.002156" in model, "11266 → 777" in model) == (width > 60, width > 60, width > 80)
    for sort, figure in (("cost", "$0.002156"), ("tokens", "11266 → 777"), ("first_chunk", "250 ms")):
        *_, by_figure, _ = printed(span_list(Store(tmp_path).spans(), sort), width)
        assert figure in by_figure


def test_statistics_leave_out_columns_before_they_cut_figures(tmp_path):
    chat = {
        "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 123456, "gen_ai.usage.output_tokens": 6789,
        "lmspan.cost.amount": 0.001234, "gen_ai.response.time_to_first_chunk": 0.25, "lmspan.lm.attempt_count": 2,
    }  # fmt: skip
    write(tmp_path / "traces.jsonl", *(otlp(f"{n}", "", "chat m", n, n + 1, f"{n:02}", chat) for n in range(20)))
    statistics = Store(tmp_path).statistics("model")
    titles, row = printed(statistics_table(statistics, "model"))
    assert len(row) <= 80
    assert {"p50", "p95", "tokens", "cost"} <= set(titles.split())
    assert row.split()[:2] == ["m", "20"]
    assert "2469120 → 135780 $0.02468" in row
    wide, _ = printed(statistics_table(statistics, "model"), 200)
    assert {"total", "max", "retries"} <= set(wide.split())


@pytest.mark.parametrize(("sent", "shown"), [(0, "1.0 s  question"), (3, "1.0 s  3 → 0  question")])
def test_a_line_has_the_figures_of_a_span_and_no_zeros(sent, shown):
    facts = {"gen_ai.usage.input_tokens": sent, "gen_ai.usage.output_tokens": 0, "input.value": "question"}
    line = span_line(span("1", "", "chat m", attributes=facts))
    assert line.plain.partition(" shop  chat m  ")[2] == shown
