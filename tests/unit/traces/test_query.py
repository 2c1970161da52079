"""The query language of spans, over files and over operations that run."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmspan import traces
from lmspan.errors import LmspanError
from lmspan.traces import Filter, Store
from lmspan.traces.index import Index
from lmspan.traces.search import COLUMNS
from lmspan.traces.terms import FIELDS, FLAGS
from support.stored import line, messages, otlp, text, write

A, B, C = "aa" * 16, "bb" * 16, "cc" * 16


def chat(model, tokens=None, cost=None, **facts):
    known = {"gen_ai.request.model": model, "gen_ai.usage.input_tokens": tokens, "lmspan.cost.amount": cost, **facts}
    return {name: value for name, value in known.items() if value is not None}


def content(words):
    return {"gen_ai.input.messages": messages(("user", [text(words)]))}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """An agent that ended (1-5), a program that runs (6-8) and one of another service (9)."""
    directory = tmp_path_factory.mktemp("shop")
    write(
        directory / "traces.jsonl",
        otlp("3", "2", "chat gpt-4o", 11, 13, "aa", {**chat("gpt-4o", 12_000, 0.5), **content("Which café? C-3 & tea"),
             "gen_ai.response.time_to_first_chunk": 0.5, "gen_ai.request.temperature": 0.7}),
        otlp("4", "2", "execute_tool find", 13, 13.25, "aa", {"gen_ai.tool.name": "find", "error.type": "shop.Closed",
             "shop.items": 3, "shop.open": False}, status=2,
             events=[("exception", 13, {"exception.message": "closed on Mondays"})]),
        otlp("5", "2", "chat gpt-4o-mini", 14, 15, "aa", {**chat("gpt-4o-mini", 100, 0.0), "lmspan.lm.cache.hit": True,
             "lmspan.lm.attempt_count": 3, **content("teapot")}),
        otlp("2", "1", "module Predict", 11, 15, "aa", {"lmspan.module.path": "answer.rewrite"}),
        otlp("1", "", "invoke_agent ReAct", 10, 16, "aa", {"session.id": "s-7", "user.id": "anna", **content("zebra")}),
    )  # fmt: skip
    write(
        directory / "open-1-1.jsonl",
        otlp("6", "", "optimize GEPA", 20, 0, "bb", {"lmspan.operation.inputs": {"student": "zebra"}}),
        otlp("7", "6", "evaluate exact", 21, 0, "bb", {"shop.items": 12}),
    )
    write(directory / "traces.jsonl", otlp("8", "7", "chat gpt-4o", 22, 23, "bb", chat("gpt-4o", cost=0.25)))
    write(directory / "traces.jsonl", otlp("9", "", "chat local", 30, 30.1, "cc", chat("local")), service="batch")
    return directory


def found(table):
    return "".join(sorted(each.span_id for each in table))


QUERIES = [
    ("", "123456789"),
    ("operation:lm", "3589"),
    ("operation=lm", "3589"),
    ("operation!=lm", "12467"),
    ("not operation:lm", "12467"),
    ("NAME:PREDICT", "2"),
    ("model:gpt", "358"),
    ("model=gpt-4o", "38"),
    ("model==gpt-4o", "38"),
    ("model!=gpt-4o", "59"),
    ("service=shop", "12345678"),
    ("module:rewrite", "2"),
    ("tool:find", "4"),
    ("session=s-7", "12345"),
    ("user:ann operation:lm", "35"),
    ("user!=ben not failed", "1235"),
    ("not user:ann", "6789"),
    ("error:closed", "4"),
    ('state:"not ended"', "67"),
    ("running", ""),
    ("failed", "4"),
    ("cached", "5"),
    ("cost>0", "38"),
    ("cost > 0.25", "3"),
    ("cost>=0.25", "38"),
    ("cost<0.5", "58"),
    ("cost=0", "5"),
    ("cost==0", "5"),
    ("cost!=0", "38"),
    ("not cost>0", "1245679"),
    ("tokens>10k", "3"),
    ("tokens<1e3", "5"),
    ("input_tokens<=12000", "35"),
    ("output_tokens>0", ""),
    ("retries>1", "5"),
    ("retries=0", "389"),
    ("retries<1", "389"),
    ("score>0", ""),
    ("duration>3s", "1267"),
    ("duration<=250ms", "49"),
    ("duration<=250 ms operation:tool", "4"),
    ("duration>=250000 µs duration<=250000us", "4"),
    ("duration>1 duration<3", "3"),
    ("first_chunk>100ms", "3"),
    ("under:react", "2345"),
    ("under:answer.rewrite", "345"),
    ("under:gepa", "78"),
    ("service.name=batch", "9"),
    ("exception.message:Mondays", "4"),
    ("under:exact operation:lm", "8"),
    ("not under:react operation:lm", "89"),
    ("operation:lm and model:mini", "5"),
    ("model:mini or tool:find or failed", "45"),
    ("model:gpt (cached or cost>0.4)", "35"),
    ("model:gpt not (cached or cost>0.4)", "8"),
    ("not not failed", "4"),
    ("NOT failed AND operation:tool OR failed", "4"),
    ("tea", "35"),
    ("TEA cost>0", "3"),
    ("not tea", "1246789"),
    ("cafe", "3"),
    ("Café", "3"),
    ("C-3", "3"),
    ('"c 3 tea"', "3"),
    ('"tea c"', ""),
    ("ea", ""),
    ("zebra", "16"),
    ("zebra or failed", "146"),
    ("not (zebra or operation:lm)", "247"),
    ("elephant", ""),
    (".shop.items>3", "7"),
    ("shop.items>=3", "47"),
    ("shop.items=3", "4"),
    ("shop.items==3", "4"),
    ("shop.open==false", "4"),
    ("shop.items!=3", "7"),
    ("not shop.items=3", "12356789"),
    ("shop.open=false", "4"),
    ("shop.open:fal", "4"),
    ("gen_ai.request.temperature<1", "3"),
    ("gen_ai.request.model>gpt-4o", "59"),
    ("gen_ai.request.model>5", ""),
    ("gen_ai.request.model:4O", "358"),
    ("no.such.attribute:x", ""),
    ("failed or shop.items>3", "47"),
    ("(tea or shop.items=3) not cached", "34"),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_a_query_selects_spans(shop, query, expected):
    stored = Store(shop)
    assert found(stored.spans(query)) == expected
    if query:  # decided on the spans themselves, it selects the same
        assert found(stored.spans(f"({query}) not no.such=1")) == expected
        assert found(stored.spans(f"no.such=1 or ({query})")) == expected


@pytest.mark.parametrize("query", [query for query, _ in QUERIES])
def test_a_query_and_its_opposite_select_each_span_once(shop, query):
    opposite = f"not ({query})" if query else "failed not failed"
    assert sorted(found(Store(shop).spans(query)) + found(Store(shop).spans(opposite))) == list("123456789")


@pytest.mark.parametrize(("query", "message"), [
    ("(", "a term is expected in the query at its end"),
    ("failed or", "a term is expected in the query at its end"),
    ("and failed", "a term is expected in the query before 'and'"),
    ("(failed", "a '(' of the query has no ')'"),
    ("failed)", "')' stands where a term is expected in the query"),
    ('"tea', "a quotation mark of the query has no second one"),
    ("colour:red", "'colour' is no field of a query; the fields are name, service, "),
    ("https://example.com", 'in quotation marks: "https://example.com"'),
    ("cost:1", "the field 'cost' of a query is compared as in cost>1"),
    ("model>gpt", "the field 'model' of a query is compared as in model:gpt, model=gpt or model!=gpt"),
    ("under=answer", "the field 'under' of a query is compared as in under:answer"),
    ("cost>", "'cost>' is no comparison; write for example cost>0.1, and a text in quotation marks"),
    ("model:", "'model:' is no comparison"),
    ("cost=>1", "'cost=>1' is no comparison"),
    ("cost≥1", "'cost≥1' is no comparison"),
    ("model: or failed", "'model:' is no comparison"),
    ("модель:gpt", "'модель:gpt' is no comparison"),
    ("!failed", "'!failed': write not in a query"),
    ("-failed", "'-failed': write not in a query"),
    ("failed && cached", "write nothing, or and in a query in place of &&"),
    ("failed || cached", "write or in a query in place of ||"),
    ("failed,cached", "'failed,cached': write blanks between terms"),
    ("failed, cached", "'failed,': write blanks between terms"),
    ("failed=true", "write failed by itself in a query, or not failed"),
    ("operation:chat", "'chat' is no operation; it is one of workflow, module, agent, turn, lm, "),
    ("operation=l", "'l' is no operation"),
    ("state=finished", "'finished' is no state; it is one of ended, running, not ended"),
    ("duration>2M", "'2M' is no duration"),
    ('model:""', "the field 'model' of a query is compared as in model:text"),
    ('under:""', "the field 'under' of a query is compared as in under:answer"),
    ("colour:" + "x" * 900, "'colour' is no field of a query"),
    (">1", "'>1' is no comparison"),
    ("cost>much", "'much' is no number; write for example cost>0.5 or cost>10k"),
    ("duration>2parsecs", "'2parsecs' is no duration; write 500ms, 2s, "),
    ("—", "'—' has no letter or digit that can be searched"),
    ("not " * 30 + "failed", "a query has at most 20 levels"),
    ("failed " + "or cached " * 50, "a query has at most 50 terms"),
])  # fmt: skip
def test_a_query_that_cannot_be_read_is_refused(shop, query, message):
    with pytest.raises(LmspanError) as refused:
        Store(shop).spans(query)
    assert message in str(refused.value)


PIECES = st.sampled_from([
    *FIELDS, *FLAGS, *':=<>()"', "!=", "<=", ">=", "and", "or", "not", " ", "1", "2s", "1e99", "9" * 400, "tea", "a.b",
    ".x", "\0", "\ud800", "é", "'", "%", "*", "—", ";",
])  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30))
def test_any_text_is_a_query_or_is_refused(shop, query):
    with suppress(LmspanError):
        assert len(Store(shop).spans(query)) <= 9


TRUTHS = {"failed": "4", "cached": "5", "tea": "35", "cost>0": "38", "under:react": "2345"}
LOGIC = st.recursive(
    st.sampled_from(list(TRUTHS)),
    lambda part: st.one_of(
        part.map("not {}".format),
        part.map("({})".format),
        st.tuples(part, st.sampled_from([" and ", " or "]), part).map("".join),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(LOGIC, st.booleans())
def test_the_words_of_the_language_mean_what_they_mean_in_python(shop, logic, is_short):
    assume(logic.count("(") + logic.count("not") < 20)  # a deeper query is refused
    python = logic
    for term, spans in TRUTHS.items():
        python = python.replace(term, f"(span in {spans!r})")
    code = compile(python, "query", "eval")
    expected = "".join(span for span in "123456789" if eval(code, {"span": span}))  # noqa: S307 - of the words above
    assert found(Store(shop).spans(logic.replace(" and ", " ") if is_short else logic)) == expected


def test_a_row_has_the_facts_of_its_span(shop):
    stored = Store(shop)
    (row,) = stored.spans("cost>0.4")
    assert (row.trace_id, row.span_id, row.service, row.name, row.parent) == (
        A,
        "3",
        "shop",
        "chat gpt-4o",
        "module Predict",
    )
    assert (row.start.timestamp(), row.duration_s, row.state, row.failed, row.error) == (11, 2, "ended", False, "")
    assert (row.operation, row.model, row.input_tokens, row.output_tokens) == ("lm", "gpt-4o", 12_000, None)
    assert (row.cost, row.first_chunk_s, row.retries, row.cached, row.score) == (0.5, 0.5, 0, False, None)
    (tool,) = stored.spans("failed")
    assert (tool.tool, tool.failed, tool.error, tool.cost) == ("find", True, "shop.Closed", None)
    (cached,) = stored.spans("cached")
    assert (cached.cached, cached.retries, cached.cost) == (True, 2, 0)
    (agent,) = stored.spans("session:s operation:agent")
    assert (agent.session, agent.user, agent.parent, agent.module) == ("s-7", "anna", "", "ReAct")
    running = stored.spans("under:gepa")
    assert [(each.name, each.state, each.parent) for each in running] == [
        ("chat gpt-4o", "ended", "evaluate exact"),
        ("evaluate exact", "not ended", "optimize GEPA"),
    ]


@pytest.mark.parametrize(("sort", "descending", "ascending"), [
    ("start", "985423", "234589"),
    ("duration", "238549", "948532"),
    ("cost", "385942", "583942"),
    ("tokens", "359842", "539842"),
    ("first_chunk", "398542", "398542"),
    ("retries", "598342", "983542"),
    ("score", "985423", "985423"),
])  # fmt: skip
def test_spans_are_sorted_and_a_span_without_the_figure_is_last(shop, sort, descending, ascending):
    assert sort in COLUMNS
    query, stored = "operation:lm or failed or module:answer", Store(shop)
    listed = ["".join(each.span_id for each in stored.spans(query, sort=sort, ascending=way)) for way in (False, True)]
    assert listed == [descending, ascending]
    assert "".join(each.span_id for each in stored.spans(query, sort=sort, limit=3)) == descending[:3]


def test_a_column_that_sorts_nothing_is_refused(shop):
    with pytest.raises(LmspanError, match="spans cannot be sorted by 'name'; sort is one of start, duration, "):
        Store(shop).spans(sort="name")


@pytest.mark.parametrize(("query", "wanted", "expected"), [
    ("operation:lm", {"service": "batch"}, "9"),
    ("operation:lm", {"until": 15}, "35"),
    ("operation:lm", {"since": 15, "until": 25}, "8"),
    ("", {"text": "zebra", "since": 15}, "678"),
    ("", {"trace": A, "failed": True}, ""),
    ("tea", {"session": "s-7"}, "35"),
    ("tea", {"service": "batch"}, ""),
    ("", {"ids": [B, C]}, "6789"),
    ("", {"ids": []}, ""),
    ("model:gpt", {"where": "shop.items>3"}, "8"),
    ("shop.items>3", {"where": "tea"}, ""),
])  # fmt: skip
def test_a_filter_limits_the_traces(shop, query, wanted, expected):
    assert found(Store(shop).spans(query, Filter(**wanted))) == expected


@pytest.mark.parametrize(("where", "expected"), [
    ("model:gpt", [B, A]),
    ("model:gpt cost>0.4", [A]),
    ("tea", [A]),
    ("zebra", [B, A]),
    ("shop.items>3", [B]),
    ("name:optimize", [B]),
    ("model:local", [C]),
    ("model:local tea", []),
])  # fmt: skip
def test_traces_that_have_such_a_span(shop, where, expected):
    assert [each.trace_id for each in traces.list(path=shop, where=where)] == expected
    assert {row.trace_id for row in Store(shop).rows(Filter(where=where))} == set(expected)
    limited = traces.list(path=shop, where=where, limit=1, since=5, sort="cost")
    assert len(limited) == min(len(expected), 1)


WORDS = [
    ("Be kind.\nRespond soon", "respond kind"), ("a\ttab", "tab"), ("good\ntea", '"good tea"'),
    ('say "hello"', "hello"), ("C:\\new", '"c new"'), ("ёлка", "елка"), ("καλημέρα", "καλημερα"), ("Việt", "viet"),
    ("Viet", "Việt"), ("كِتَاب", "كتاب"), ("한국어", "한국"), ("がっこう", "がっこ"), ("\ue0b0main", "main"),
    ("ÄRGER", "ärger"), ("Straße", "straß"), ("İstanbul", "istanbul"), ("today 今天天气", "今天"), ("x_y-z", '"y z"'),
    ("“x_y”—z", '"y z"'),
    ("हिन्दी भाषा", "भाषा"), ("1½ cups²", "cups"),
    ("tea " * 49_000 + "finale", "finale"),
]  # fmt: skip


@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize(("words", "query"), WORDS, ids=[query for _, query in WORDS])
def test_words_of_any_script_are_found_or_not_by_a_query_and_its_opposite(tmp_path, words, query, is_ascii):
    asked = json.dumps([{"role": "user", "parts": [text(words)]}], ensure_ascii=is_ascii)
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", attributes={"gen_ai.input.messages": asked}))
    stored = Store(tmp_path)
    assert found(stored.spans(query)) == "1"
    assert found(stored.spans(f"not ({query})")) == ""
    assert len(stored.list(Filter(text=query.replace('"', "")))) == 1


def test_words_after_the_first_200_000_characters_are_not_found(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", attributes=content("tea " * 60_000 + "finale")))
    assert found(Store(tmp_path).spans("finale")) == ""
    assert found(Store(tmp_path).spans("not finale")) == "1"


@pytest.mark.parametrize(("query", "is_found"), [
    ("name:äb", True), ("name:ÄB", True), ("name:ab", False), ("under:äb", False), ("session:über", True),
    ("x.a:äb", True), ("name=ÄBC", False),
])  # fmt: skip
def test_letters_outside_ascii_have_two_cases(tmp_path, query, is_found):
    facts = {"session.id": "ÜBER", "x.a": "ÄB"}
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat ÄBC", trace="aa", attributes=facts))
    stored = Store(tmp_path)
    assert found(stored.spans(query)) == "1" * is_found
    assert [len(stored.list(Filter(name=each))) for each in ("äb", "ÄB", "ab")] == [1, 1, 0]


def test_the_first_of_two_copies_of_a_span_counts(tmp_path):
    for number in (1, 2):
        write(tmp_path / f"traces-{number}.jsonl", otlp("1", "", "chat m", trace="aa", attributes={"x.a": number}))
    stored = Store(tmp_path)
    kept = stored.last().root.attributes["x.a"]
    for number in (1, 2):
        assert found(stored.spans(f"x.a={number}")) == "1" * (number == kept)
        assert found(stored.spans(f"not x.a={number}")) == "1" * (number != kept)


@pytest.mark.parametrize(("query", "expected"), [
    ("x.id=9007199254740993", "1"), ("x.id=9007199254740992", ""), ("x.half=.5", "1"), ("x.half=+0.5", "1"),
    (".yes=True", "1"), (".yes=false", ""), ("tool:ba", "1"), ("under:bar", "2"),
])  # fmt: skip
def test_values_of_attributes_are_compared_as_what_they_are(tmp_path, query, expected):
    facts = {"x.id": 9007199254740993, "x.half": 0.5, "yes": True, "gen_ai.tool.name": "bar"}
    write(tmp_path / "traces.jsonl", otlp("1", "", "execute_tool foo", attributes=facts), otlp("2", "1", "chat m"))
    assert found(Store(tmp_path).spans(query)) == expected


def test_texts_and_numbers_that_sqlite_does_not_take_are_no_errors(tmp_path):
    wait = ("lmspan.lm.retry", 0.5, {"lmspan.lm.retry.delay_s": 2**63 - 1})
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", trace="aa", events=[wait, wait]))
    stored = Store(tmp_path)
    assert found(stored.spans()) == "1"
    for wanted in ({"name": "\ud800"}, {"trace": "\ud800"}, {"session": "\udcff"}, {"since": 10**400}):
        assert len(stored.list(Filter(**wanted))) == 0
    assert len(stored.list(Filter(until=10**400))) == 1
    for wanted in ({"since": math.nan}, {"slow": math.nan}):
        with pytest.raises(LmspanError, match="NaN is no time"):
            stored.list(Filter(**wanted))
    assert [len(stored.list(limit=10**30)), len(stored.spans(limit=10**30))] == [1, 1]
    with pytest.raises(TypeError):
        stored.list(limit=1.5)
    assert found(stored.spans()) == "1"


def test_a_span_of_a_circle_is_under_itself_and_the_query_ends(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", "2", "turn 1", trace="aa"), otlp("2", "1", "turn 2", trace="aa"))
    assert found(Store(tmp_path).spans("under:turn")) == "12"
    assert found(Store(tmp_path).spans('under:"turn 1"')) == "12"


def test_each_span_of_20_000_levels_is_under_those_above_it(tmp_path):
    spans = [otlp(f"{n:x}", f"{n - 1:x}" if n else "", f"turn {n}", trace="aa") for n in range(20_000)]
    (tmp_path / "traces.jsonl").write_text(line(*spans))
    stored = Store(tmp_path)
    assert len(stored.spans("under:turn")) == 19_999
    assert len(stored.spans("not under:turn")) == 1
    assert len(stored.spans('under:"turn 19998"')) == 1


@pytest.mark.parametrize("query", ["under:react", "not under:react", "failed or not under:react"])
def test_what_is_below_is_looked_up_by_its_key(shop, monkeypatch, query):
    """Without the key, 20,000 traces took 55 s."""
    plans, rows = [], Index.rows

    def explained(index, statement, values=()):
        if "FROM below" in statement:
            plans.append([each[3] for each in rows(index, f"EXPLAIN QUERY PLAN {statement}", values)])
        return rows(index, statement, values)

    monkeypatch.setattr(Index, "rows", explained)
    Store(shop).spans(query)
    (plan,) = plans
    lookups = [each for each in plan if " below " in each]
    assert lookups
    assert all(each.endswith("below USING PRIMARY KEY (above=? AND trace=? AND span_id=?)") for each in lookups)


def test_a_file_that_another_reader_has_just_removed_from_the_index_holds_no_word(tmp_path, monkeypatch):
    for number in (1, 2):
        write(
            tmp_path / f"traces-{number}.jsonl", otlp("1", "", "chat m", trace=f"a{number}", attributes=content("tea"))
        )
    stored, rows = Store(tmp_path), Index.rows
    assert len(stored.list(Filter(text="tea"))) == 2

    def overtaken(index, statement, values=()):
        if "MATCH" in statement:
            rows(index, "DROP TABLE IF EXISTS words_1")
        return rows(index, statement, values)

    monkeypatch.setattr(Index, "rows", overtaken)
    assert [each.trace_id[:2] for each in stored.list(Filter(text="tea"))] == ["a2"]


def test_what_is_written_later_is_found(tmp_path):
    stored = Store(tmp_path)
    assert (found(stored.spans("tea")), found(stored.spans("cost>0"))) == ("", "")
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "chat m", trace="aa", attributes={**chat("m", 1, 1.0), **content("tea")}),
    )
    assert (found(stored.spans("tea")), found(stored.spans("cost>0"))) == ("1", "1")
    (tmp_path / "traces.jsonl").unlink()
    assert (found(stored.spans("tea")), found(stored.spans("cost>0"))) == ("", "")
