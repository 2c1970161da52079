"""A trace: its tree, its sums, its failures, its optimizer runs and evaluations."""

import json

import pytest

from lmspan import semconv as sc
from lmspan.errors import LmspanError, TraceFileError
from lmspan.lifecycle import Operation
from lmspan.traces import Figures, State, StoredEvent, Trace
from lmspan.traces.content import Message, Part, conversation, first_words, inputs_of, outputs_of, readable
from lmspan.traces.optimizers import Change, word_diff
from lmspan.traces.statistics import over_time, percentile, statistics
from lmspan.traces.trace import grouped
from support.stored import SECOND, TRACE, span

PREFIX = "lmspan.optimizer.candidate."


def chat(span_id, parent="", start=0, end=SECOND, model="m", **facts):
    known = {"gen_ai.request.model": model, "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
    return span(span_id, parent, f"chat {model}", start, end, attributes={**known, "lmspan.cost.amount": 0.5, **facts})


def candidate(span_id, start, **facts):
    return span(
        span_id, "o", "candidate", start, start + SECOND,
        attributes={PREFIX + name.replace("__", "."): value for name, value in facts.items()},
    )  # fmt: skip


def raised(kind, message=""):
    return StoredEvent("exception", 1, {"exception.type": kind, "exception.message": message})


def test_of_two_spans_with_one_id_the_one_that_has_ended_is_kept():
    trace = Trace(TRACE, [span("1", state=State.RUNNING), span("1", end=5), span("1", end=9)])
    assert [(each.end_unix_nano, each.state) for each in trace.spans] == [(5, State.ENDED)]


@pytest.mark.parametrize(
    ("spans", "state"),
    [
        ([span("1"), span("2", "1")], State.ENDED),
        ([span("2", "gone")], State.NOT_ENDED),
        ([span("2", "elsewhere", has_remote_parent=True), span("3", "2")], State.ENDED),
        ([span("1", state=State.NOT_ENDED), span("2", "1")], State.NOT_ENDED),
        ([span("1", state=State.NOT_ENDED), span("2", "1", state=State.RUNNING)], State.RUNNING),
    ],
)
def test_a_trace_has_ended_when_all_of_it_has(spans, state):
    assert Trace(TRACE, spans).state is state


def test_a_span_is_found_by_its_number_or_the_beginning_of_its_id():
    trace = Trace(TRACE, [span("abcd", start=2), span("abef", start=1), span("12ff", start=3)])
    assert [trace.span(each).span_id for each in ("1", "2", "abc", "ABEF", "12f")] == [
        "abef", "abcd", "abcd", "abef", "12ff",
    ]  # fmt: skip
    with pytest.raises(TraceFileError, match="span 'ab': 2 spans begin with it"):
        trace.span("ab")
    with pytest.raises(TraceFileError, match="span '9': no such span"):
        trace.span("9")


def test_sums_are_those_of_the_model_calls_below():
    trace = Trace(TRACE, [
        span("1", "", "invoke_agent ReAct", attributes={"gen_ai.usage.input_tokens": 99, "gen_ai.provider.name": "x"}),
        span("2", "1", "module M"),
        chat("3", "2", **{"lmspan.lm.attempt_count": 3}),
        chat("4", "1", **{"lmspan.lm.cache.hit": True, "lmspan.cost.amount": 0}),
        span("5", "1", "chat m", attributes={"gen_ai.usage.input_tokens": 1}),
        span("6", "1", "execute_tool t"),
    ])  # fmt: skip
    assert trace.total == Figures(
        spans=6, lm_calls=3, tool_calls=1, input_tokens=21, output_tokens=10, cost=0.5, unknown_costs=1, cache_hits=1,
        retries=2,
    )  # fmt: skip
    assert trace.figures["1"] == trace.total
    assert trace.figures["2"] == Figures(spans=2, lm_calls=1, input_tokens=10, output_tokens=5, cost=0.5, retries=2)
    assert trace.figures["6"] == Figures(spans=1, tool_calls=1)


def test_a_model_call_that_two_instrumentations_record_counts_once():
    both = [span("0"), chat("1", "0"), chat("2", "1")]
    inner_knows = [span("0"), span("1", "0", "chat m"), chat("2", "1"), span("3", "0", "chat m")]
    assert Trace(TRACE, both).total == Figures(spans=3, lm_calls=1, input_tokens=10, output_tokens=5, cost=0.5)
    assert Trace(TRACE, inner_knows).total == Figures(
        spans=4, lm_calls=2, input_tokens=10, output_tokens=5, cost=0.5, unknown_costs=1
    )
    (model,) = statistics(list(Trace(TRACE, both).rows.values()), "model")
    assert (model.calls, model.input_tokens, model.cost) == (1, 10, 0.5)


def test_self_time_is_what_no_child_covers_also_when_children_overlap_or_outlive_their_parent():
    trace = Trace(TRACE, [
        span("1", start=0, end=100), span("2", "1", start=10, end=30), span("3", "1", start=20, end=40),
        span("4", "1", start=90, end=200), span("5", "2", start=0, end=300),
    ])  # fmt: skip
    assert dict(trace.self_times) == {"1": 60, "2": 0, "3": 20, "4": 110, "5": 300}


def test_a_failure_counts_once_where_it_happened_and_is_recovered_where_something_above_went_on():
    trace = Trace(TRACE, [
        span("1", "", "module M"),
        span("2", "1", "execute_tool t", status=2, events=(raised("A", "x"),)),
        span("3", "1", "evaluate e"),
        span("4", "3", "example", 1, status=2),
        span("5", "4", "chat m", 2, status=2, events=(raised("B"),)),
        span("6", "gone", "chat m", 3, status=2),
    ])  # fmt: skip
    assert [(each.span.span_id, each.type, each.message, each.recovered) for each in trace.failures] == [
        ("2", "A", "x", True),
        ("5", "B", "", False),
        ("6", "error", "", False),
    ]
    assert trace.failed == 2


def test_equal_failures_are_one_group():
    spans = [span("1", "", "module M", status=2)]
    spans += [span(f"{n}", "1", "chat m", n, status=2, events=(raised("A", f"{n % 2}"),)) for n in range(2, 7)]
    assert [(first.message, count) for first, count in grouped(Trace(TRACE, spans).failures)] == [("0", 3), ("1", 2)]


@pytest.mark.parametrize(
    ("name", "attributes", "operation"),
    [
        ("chat m", {}, Operation.LM),
        ("anything", {"gen_ai.operation.name": "generate_content"}, Operation.LM),
        ("LiteLLM", {"openinference.span.kind": "LLM"}, Operation.LM),
        ("POST", {}, None),
        ("GET", {"openinference.span.kind": "CHAIN"}, None),
        ("my tool", {"openinference.span.kind": "TOOL"}, Operation.TOOL),
        ("openai.chat", {"llm.request.type": "chat"}, Operation.LM),
        ("plan.task", {"traceloop.span.kind": "task"}, Operation.MODULE),
        ("help.workflow", {"traceloop.span.kind": "workflow"}, Operation.WORKFLOW),
    ],
)
def test_spans_of_other_instrumentations_are_operations_by_their_attributes(name, attributes, operation):
    assert span("1", name=name, attributes=attributes).operation is operation


@pytest.mark.parametrize(
    "attributes",
    [
        {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 7,
         "llm.token_count.completion": 3, "llm.cost.total": 0.5, "session.id": "s", "input.value": "Which tea?"},
        {"llm.request.type": "chat", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 7,
         "gen_ai.usage.completion_tokens": 3, "llm.cost.total": 0.5, "traceloop.entity.input": "Which tea?",
         "traceloop.association.properties.session_id": "s"},
    ],
    ids=["OpenInference", "OpenLLMetry"],
)  # fmt: skip
def test_a_model_call_of_another_instrumentation_has_its_figures(attributes):
    call = span("1", name="POST", attributes=attributes)
    row = Trace(TRACE, [call]).rows["1"]
    assert (row.model, row.input_tokens, row.output_tokens, row.cost, row.session) == ("m", 7, 3, 0.5, "s")
    assert inputs_of(call) == "Which tea?"


def test_the_names_of_other_instrumentations_do_not_replace_those_of_lmspan():
    own = {"lmspan.source": "dspy", "gen_ai.usage.input_tokens": 7, "llm.token_count.prompt": 9, "llm.cost.total": 1.0}
    facts = span("1", name="chat m", attributes=own).facts
    assert facts == own
    both = {"gen_ai.usage.input_tokens": 7, "llm.token_count.prompt": 9}
    assert span("1", name="chat m", attributes=both).facts == both
    assert span("1", name="chat m", attributes={"llm.token_count.prompt": "9"}).facts == {"llm.token_count.prompt": "9"}


def optimizer_trace():
    run = span("o", "", "optimize GEPA", 0, 10 * SECOND, attributes={"lmspan.optimizer.first_score": 0.2}, events=(
        StoredEvent(sc.EVENT_OPTIMIZER_CANDIDATE, 9 * SECOND, {PREFIX + "id": "only-an-event", PREFIX + "score": 0.1}),
    ))  # fmt: skip
    return Trace(TRACE, [
        run,
        candidate("c0", SECOND, id="a", index=0, score=0.2, scope="full", accepted=True,
                  instructions=json.dumps({"predict": "Answer."})),
        candidate("c1", 2 * SECOND, id="b", index=1, score=0.9, scope="minibatch", accepted=False, parent_ids=["a"],
                  reason="not better", changed=["predict.demos"]),
        candidate("c2", 3 * SECOND, id="c", index=2, score=0.6, scope="full", accepted=True, parent_ids=["a"],
                  instructions=json.dumps({"predict": "Answer well."}), demos=json.dumps({"predict": [1]})),
        span("e2", "c2", "evaluate metric", 3 * SECOND),
        chat("l2", "e2", 3 * SECOND),
        candidate("c3", 4 * SECOND, id="d", index=3),
    ])  # fmt: skip


def test_an_optimizer_run_has_its_candidates_in_order():
    (run,) = optimizer_trace().optimizer_runs
    assert (run.name, run.first_score, run.best_score, run.state) == ("GEPA", 0.2, 0.6, State.ENDED)
    assert [(each.index, each.id, each.score, each.scope, each.accepted) for each in run.candidates] == [
        (0, "a", 0.2, "full", True),
        (1, "b", 0.9, "minibatch", False),
        (2, "c", 0.6, "full", True),
        (3, "d", None, "", None),
        (None, "only-an-event", 0.1, "", None),
    ]
    assert run.best is run.candidates[2]
    assert run.candidate(1).reason == "not better"
    assert run.candidate(1).changed == ["predict.demos"]
    assert run.parent(run.candidates[2]) is run.candidates[0]
    assert run.candidates[2].instructions == {"predict": "Answer well."}
    assert run.candidates[2].demos == {"predict": [1]}
    assert run.candidates[2].evaluation.metric == "evaluate metric"
    assert (run.candidates[2].figures.cost, run.candidates[4].figures, run.candidates[4].span) == (0.5, None, None)
    assert "only-an-event" not in run._repr_html_()
    assert "not better" in run._repr_html_()


@pytest.mark.parametrize(
    ("facts", "best"),
    [
        ({}, [None, 0.5, 0.5, 0.75, 0.75]),  # accepted by the optimizer's pool is not the best
        ({sc.OPTIMIZER_MINIMIZES: True}, [None, 0.5, 0.25, 0.25, 0.25]),
    ],
)
def test_the_best_score_so_far_is_of_the_whole_data(facts, best):
    scores = [("minibatch", 1.0), ("full", 0.5), ("full", 0.25), ("", 0.75), ("full", None)]
    spans = [span("o", "", "optimize GEPA", attributes=facts)] + [
        span(f"{place}", "o", "candidate", place, attributes={
            sc.CANDIDATE_SCOPE: scope, sc.CANDIDATE_ACCEPTED: True,
            **({} if score is None else {sc.CANDIDATE_SCORE: score}),
        })
        for place, (scope, score) in enumerate(scores, 1)
    ]  # fmt: skip
    assert Trace(TRACE, spans).optimizer_runs[0].best_scores == best


def test_a_run_a_candidate_an_evaluation_and_an_example_are_one_line_for_a_person():
    example = {sc.EXAMPLE_INDEX: 3, sc.EVALUATION_SCORE: 0.5, sc.OPERATION_INPUTS: '{"q": "long"}'}
    trace = Trace(TRACE, [
        span("o", "", "optimize GEPA"),
        span("c", "o", "candidate", attributes={sc.CANDIDATE_INDEX: 1, sc.CANDIDATE_SCORE: 0.5}),
        span("e", "c", "evaluate metric", attributes={sc.EVALUATION_SCORE: 0.5}),
        span("1", "e", "example", attributes=example),
    ])  # fmt: skip
    (run,) = trace.optimizer_runs
    assert repr(run) == "<OptimizerRun 'GEPA' 1 candidates, best 0.5>"
    assert repr(run.candidates) == "[<Candidate 1 score 0.5>]"
    assert repr(run.candidates[0].evaluation) == "<Evaluation 'evaluate metric' 1 examples, score 0.5>"
    assert repr(run.candidates[0].evaluation.examples) == "[<Example 3 score 0.5>]"


def test_a_difference_is_word_by_word():
    assert word_diff("Answer the question.", "Answer every question!") == [
        Change(" ", "Answer "), Change("-", "the"), Change("+", "every"), Change(" ", " question"), Change("-", "."),
        Change("+", "!"),
    ]  # fmt: skip


def test_an_evaluation_has_examples_with_gold_prediction_feedback_and_error():
    result = StoredEvent(sc.EVENT_EVALUATION_RESULT, 1, {sc.EVALUATION_SCORE: 0.0, sc.EVALUATION_EXPLANATION: "no <b>"})
    failed = StoredEvent(sc.EVENT_EVALUATION_RESULT, 1, {sc.EVALUATION_SCORE: 0.0, sc.ERROR_TYPE: "ValueError"})
    trace = Trace(TRACE, [
        span("e", "", "evaluate metric", attributes={sc.EVALUATION_NAME: "metric", sc.EVALUATION_SCORE: 0.5,
                                                     sc.EVALUATION_EXAMPLE_COUNT: 3}),
        span("1", "e", "example", 2, attributes={sc.EXAMPLE_INDEX: 1, sc.OPERATION_INPUTS: '{"q": "2+2", "a": "4"}'}),
        span("1p", "1", "module M", 3, attributes={sc.MODULE_INPUTS: '{"q": "2+2"}', sc.MODULE_OUTPUTS: '{"a": "5"}'},
             events=(result,)),
        span("0", "e", "example", 4, attributes={sc.EXAMPLE_INDEX: 0, sc.EVALUATION_SCORE: 1.0}),
        span("2", "e", "example", 5, attributes={sc.EXAMPLE_INDEX: 2}, events=(failed,)),
    ])  # fmt: skip
    (evaluation,) = trace.evaluations
    assert (evaluation.metric, evaluation.score, evaluation.size) == ("metric", 0.5, 3)
    first, wrong, broken = evaluation.examples
    assert (first.index, first.score, first.program) == (0, 1.0, None)
    assert (wrong.inputs, wrong.gold, wrong.prediction) == ({"q": "2+2"}, {"a": "4"}, {"a": "5"})
    assert (wrong.score, wrong.feedback, wrong.failed) == (0.0, "no <b>", False)
    assert (broken.error, broken.failed) == ("ValueError", True)
    assert "no &lt;b&gt;" in evaluation._repr_html_()


def test_messages_are_a_conversation():
    call = span("1", name="chat m", attributes={
        sc.SYSTEM_INSTRUCTIONS: json.dumps([{"type": "text", "content": "Be brief."}]),
        sc.INPUT_MESSAGES: json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}, "odd"]),
        sc.OUTPUT_MESSAGES: json.dumps([{"role": "assistant", "parts": [
            {"type": "reasoning", "content": "think"},
            {"type": "tool_call", "name": "find", "arguments": {"q": 1}},
            {"type": "blob", "mime_type": "image/png", "content": "34 kB", "name": "cup.png"},
        ]}]),
    })  # fmt: skip
    assert conversation(call) == [
        Message("system", (Part("text", "Be brief."),)),
        Message("user", (Part("text", "Hi"),)),
        Message("assistant", (
            Part("reasoning", "think"), Part("tool_call", '{"q": 1}', "find"),
            Part("blob", "34 kB", "cup.png", (("mime_type", "image/png"), ("name", "cup.png"))),
        )),
    ]  # fmt: skip
    assert (inputs_of(call), first_words(call)) == ("Hi", "Hi")


BLOB = {
    "type": "blob",
    "modality": "image",
    "mime_type": "image/png",
    "content": "<12345 bytes, sha256:ab12cd34ef567890>",
}
PHRASE = "image/png, 12.3 kB, sha256:ab12cd34…"
MEDIA = [
    (BLOB, PHRASE, ""),
    ({**BLOB, "content": "<776 bytes, sha256:ab12cd34ef567890>"}, "image/png, 776 bytes, sha256:ab12cd34…", ""),
    ({**BLOB, "content": "<10000000 bytes, sha256:ab12cd34ef567890>"}, "image/png, 10 MB, sha256:ab12cd34…", ""),
    ({"type": "blob", "modality": "audio", "content": "<9 bytes, sha256:ab12cd34ef567890>"},
     "audio, 9 bytes, sha256:ab12cd34…", ""),
    ({**BLOB, "content": "iVBORw0KGgo="}, "image/png, iVBORw0KGgo=", ""),  # of another instrumentation
    ({"type": "uri", "modality": "image", "uri": "https://x/a.png", "name": "a"}, "image, https://x/a.png", "a"),
    ({"type": "file", "modality": "document", "mime_type": "text/csv", "file_id": "f1"}, "text/csv, f1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("part", "phrase", "name"), MEDIA)
def test_a_medium_is_a_short_phrase(part, phrase, name):
    messages = json.dumps([{"role": "user", "parts": [part]}])
    (message,) = conversation(span("1", attributes={sc.INPUT_MESSAGES: messages}))
    facts = tuple((key, each) for key, each in part.items() if key not in ("type", "content", "uri", "file_id"))
    assert message == Message("user", (Part(part["type"], phrase.partition(", ")[2], name, facts),))
    assert message.parts[0].shown == phrase
    assert readable({"image": part, "all": [part]}) == f'image: {phrase}  all: ["{phrase}"]'
    assert readable(part) == phrase


@pytest.mark.parametrize(
    ("attributes", "inputs", "outputs", "words"),
    [
        ({sc.MODULE_INPUTS: '{"q": "a  b", "n": 1}', sc.MODULE_OUTPUTS: '{"a": [1]}'},
         {"q": "a  b", "n": 1}, {"a": [1]}, "a b 1"),
        ({sc.TOOL_CALL_ARGUMENTS: '{"x": 1}', sc.TOOL_CALL_RESULT: '{"result": "ok"}'}, {"x": 1}, "ok", "1"),
        ({"input.value": "plain", "output.value": "{broken"}, "plain", "{broken", "plain"),
        ({"input.value": '{"program": "Rag", "predictors": {"self": {"demos": 0}}, "trainset": 3}'},
         {"program": "Rag", "predictors": {"self": {"demos": 0}}, "trainset": 3}, None, "Rag 3"),
        ({"input.value": '{"passages": ["a", "b"]}'}, {"passages": ["a", "b"]}, None, '["a", "b"]'),
        ({}, None, None, ""),
    ],
)  # fmt: skip
def test_inputs_and_outputs_are_values(attributes, inputs, outputs, words):
    each = span("1", attributes=attributes)
    assert (inputs_of(each), outputs_of(each), first_words(each)) == (inputs, outputs, words)


@pytest.mark.parametrize(
    ("value", "text"), [({"a": "x", "b": [1]}, "a: x  b: [1]"), ("x", "x"), ([1, "é"], '[1, "é"]'), (None, "")]
)
def test_readable_values(value, text):
    assert readable(value) == text


def rows_of(*spans):
    return list(Trace(TRACE, spans).rows.values())


def test_statistics_by_model_count_calls_percentiles_retries_and_cost():
    rows = rows_of(
        span("0", "", "module M"),
        *(chat(f"{n}", "0", 0, n * SECOND, **{"gen_ai.response.time_to_first_chunk": n / 10}) for n in range(1, 6)),
        chat("8", "0", model="other", **{"lmspan.lm.attempt_count": 2}),
        span("9", "0", "chat m", status=2, attributes={"gen_ai.request.model": "m"}),
    )
    first, other = statistics(rows, "model")
    assert (first.key, first.calls, first.failed, first.recovered, first.cost) == ("m", 6, 0, 1, 2.5)
    assert (first.total_s, first.p50_s, first.max_s) == (16, 2.5, 5)
    assert (first.first_chunk_p50_s, round(first.first_chunk_p95_s, 3)) == (0.3, 0.48)
    assert (first.input_tokens, first.output_tokens, first.unknown_costs) == (50, 25, 0)
    assert (other.key, other.calls, other.retries, other.first_chunk_p50_s) == ("other", 1, 1, None)


def test_statistics_by_module_count_what_is_below_and_by_session_the_whole_trace():
    rows = rows_of(
        span("0", "", "module M", attributes={"lmspan.module.path": "outer", "session.id": "s"}),
        span("1", "0", "module N", attributes={"lmspan.module.path": "outer.inner"}),
        chat("2", "1"),
        chat("3", "0"),
        span("4", "0", "execute_tool t", status=2),
    )
    assert [(each.key, each.calls, each.cost) for each in statistics(rows, "module")] == [
        ("outer", 1, 1.0),
        ("outer.inner", 1, 0.5),
    ]
    (session,) = statistics(rows, "session")
    assert (session.key, session.calls, session.input_tokens, session.cost) == ("s", 1, 20, 1.0)
    assert (session.failed, session.recovered, session.total_s) == (0, 1, 1.0)
    assert [each.key for each in statistics(rows, "service")] == ["shop"]
    assert [each.key for each in statistics(rows, "tool")] == ["t"]
    with pytest.raises(LmspanError, match="statistics by 'modle' are not known"):
        statistics(rows, "modle")


def test_statistics_over_time_have_periods_of_one_length_and_no_empty_ones():
    rows = rows_of(
        *(span(f"{n}", "", f"module M{n % 2}", n * SECOND, (n + n) * SECOND) for n in (0, 1, 2, 599)),
        chat("c", "1", 1, 2),
    )
    assert [(each.start, each.duration_s, each.statistic.calls) for each in over_time(rows, "module", "M1")] == [
        (0.0, 15.0, 1), (585.0, 15.0, 1),
    ]  # fmt: skip
    (first, second) = over_time(rows, "module", "M1")
    assert (first.statistic.p50_s, second.statistic.p95_s, first.statistic.cost) == (1.0, 599.0, 0.5)
    assert (first.statistic.start, first.statistic.end) == (1.0, 1.0)
    assert [each.statistic.calls for each in over_time(rows)] == [1]  # one trace
    assert over_time([]) == []
    with pytest.raises(LmspanError, match="statistics by 'modle' are not known"):
        over_time(rows, "modle")


@pytest.mark.parametrize("length_s", [0, 1e-9, 0.001, 1, 7, 3600, 86_400 * 365, 86_400 * 365 * 200])
def test_statistics_over_time_have_at_most_sixty_periods(length_s):
    rows = rows_of(*(span(f"{n}", "", "module M", int(n * length_s * SECOND / 500)) for n in range(501)))
    periods = over_time(rows, "module", "M")
    assert 1 <= len(periods) <= 60
    assert sum(each.statistic.calls for each in periods) == 501


def test_statistics_count_a_failure_as_failed_or_as_recovered():
    rows = rows_of(
        span("0", "", "module M", attributes={"session.id": "s"}),
        span("1", "0", "module N", status=2),
        span("2", "1", "chat m", status=2, attributes={"gen_ai.request.model": "m"}),
        span("3", "gone", "chat m", status=2, attributes={"gen_ai.request.model": "m", "session.id": "s"}),
    )
    for by, key, failed, recovered in (("model", "m", 1, 1), ("module", "N", 0, 1), ("session", "s", 1, 1)):
        each = next(each for each in statistics(rows, by) if each.key == key)
        assert (each.failed, each.recovered) == (failed, recovered), by


def test_a_module_that_calls_itself_counts_what_is_below_once():
    rows = rows_of(
        span("0", "", "invoke_agent A"), span("1", "0", "module M"), span("2", "1", "invoke_agent A"), chat("3", "2")
    )
    assert [(each.key, each.calls, each.cost) for each in statistics(rows, "module")] == [("A", 2, 0.5), ("M", 1, 0.5)]


@pytest.mark.parametrize(
    ("values", "share", "expected"), [([], 0.5, None), ([1], 0.95, 1), ([1, 2], 0.5, 1.5), ([0, 10, 20], 0.95, 19)]
)
def test_percentiles(values, share, expected):
    assert percentile(values, share) == expected


def test_a_notebook_shows_a_trace_without_running_what_is_in_it():
    trace = Trace(TRACE, [span("1", name="module <script>alert(1)</script>"), chat("2", "1")])
    html = trace._repr_html_()
    assert "&lt;script&gt;" in html and "<script" not in html
    assert "2 spans" in html and "$0.500000" in html
    assert "has no spans" in Trace(TRACE)._repr_html_()
