"""Retrievers and embedders, most of which DSPy announces nowhere."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dspy
import pytest
from opentelemetry.trace import SpanKind

from lmspan import semconv as sc
from lmspan.testing import recording
from support.programs import KEY, fields, serving

np = pytest.importorskip("numpy")


def vectors(texts):
    return np.array([[len(text), text.count("a"), 1.0] for text in texts], dtype=np.float32)


def embedder(server, **settings):
    return dspy.Embedder("openai/text-embedding-3-small", api_base=server.url, api_key=KEY, **settings)


def own(recorded, name):
    attributes = recorded.attributes(name)
    return {key: value for key, value in attributes.items() if key not in (sc.CALL_ID, sc.SOURCE, sc.CALL_PARENT_ID)}


def test_a_hosted_embedder_is_one_span_over_its_batches():
    texts = ["a long text number one", "a long text number two", "a long text number three"]
    with serving(fields(answer="")) as server, recording() as recorded:
        assert embedder(server, batch_size=2, caching=False)(texts).shape == (3, 3)
    recorded.assert_tree("embeddings text-embedding-3-small")
    recorded.assert_conventions()
    facts = own(recorded, "embeddings text-embedding-3-small")
    assert facts.pop(sc.COST_AMOUNT) == pytest.approx(17 * 0.02e-6)
    assert facts == {
        sc.OPERATION_NAME: "embeddings",
        sc.PROVIDER_NAME: "openai",
        sc.REQUEST_MODEL: "text-embedding-3-small",
        sc.RESPONSE_MODEL: "text-embedding-3-small",
        sc.SERVER_ADDRESS: "127.0.0.1",
        sc.SERVER_PORT: int(server.url.split(":")[2].split("/")[0]),
        sc.EMBEDDING_INPUT_COUNT: 3,
        sc.EMBEDDINGS_DIMENSION_COUNT: 3,
        sc.USAGE_INPUT_TOKENS: 17,
        sc.COST_UNIT: "USD",
        sc.COST_SOURCE: "litellm",
        sc.OPERATION_INPUTS: json.dumps(texts, separators=(",", ":")),
    }
    assert recorded.one("embeddings text-embedding-3-small").kind is SpanKind.CLIENT
    totals = recorded.totals("embeddings text-embedding-3-small")
    assert (totals["embedding_calls"], totals["input_tokens"], totals["llm_calls"]) == (1, 17, 0)
    assert KEY not in str([span.attributes for span in recorded.spans])
    assert len(server.exchanges) == 2


async def test_an_async_embedder_gives_the_same():
    with serving(fields(answer="")) as server, recording() as recorded:
        await embedder(server, caching=False).acall("a single text that is embedded")
    facts = own(recorded, "embeddings text-embedding-3-small")
    assert (facts[sc.EMBEDDING_INPUT_COUNT], facts[sc.USAGE_INPUT_TOKENS]) == (1, 7)


def test_what_the_cache_embeds_is_marked_and_costs_nothing(tmp_path):
    dspy.configure_cache(disk_cache_dir=str(tmp_path), enable_disk_cache=False)
    with serving(fields(answer="")) as server, recording() as recorded:
        for _ in range(2):
            embedder(server)(["the same text, twice"])
    first, second = recorded.spans
    assert sc.CACHE_HIT not in first.attributes
    assert second.attributes[sc.CACHE_HIT] is True
    assert sc.USAGE_INPUT_TOKENS not in second.attributes
    assert sc.COST_AMOUNT not in second.attributes
    assert (first.kind, second.kind) == (SpanKind.CLIENT, SpanKind.INTERNAL)


def test_a_failing_embedder_raises_its_own_error():
    error = ValueError("no")

    def broken(texts):
        raise error

    with recording() as recorded, pytest.raises(ValueError, match="no") as caught:
        dspy.Embedder(broken)(["a"])
    assert caught.value is error
    recorded.assert_tree("embeddings broken !")
    recorded.assert_conventions()


def test_a_search_and_the_embedding_of_its_query_on_another_thread_are_one_trace():
    with recording() as recorded:
        search = dspy.Embeddings(["cats", "a dog and a cat"], dspy.Embedder(vectors), k=1)
        passages = search("is there a dog anywhere at all?").passages
    assert passages
    recorded.assert_tree("""
        embeddings vectors
        retrieval Embeddings
          embeddings vectors
    """)
    recorded.assert_conventions()
    facts = own(recorded, "retrieval Embeddings")
    documents = json.loads(facts.pop(sc.RETRIEVAL_DOCUMENTS))
    assert [each["content"] for each in documents] == passages
    assert facts == {
        sc.OPERATION_NAME: "retrieval",
        sc.DATA_SOURCE_ID: "Embeddings",
        sc.RETRIEVAL_QUERY: "is there a dog anywhere at all?",
        sc.RETRIEVAL_TOP_K: 1,
        sc.RETRIEVAL_DOCUMENT_COUNT: 1,
    }
    assert recorded.one("retrieval Embeddings").kind is SpanKind.CLIENT


def test_searches_of_many_threads_keep_their_trees():
    with recording() as recorded:
        search = dspy.Embeddings([f"text {index}" for index in range(9)], dspy.Embedder(vectors), k=1)

        def ask(number):
            class Asking(dspy.Module):
                def forward(self):
                    return search(f"which text has the number {number}?")

            Asking()()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    recorded.assert_conventions()
    roots = sorted(span.name for span in recorded.roots())
    assert roots == ["embeddings vectors"] + ["module Asking"] * 6  # the first embedded the corpus


def test_knn_is_a_retrieval():
    trainset = [
        dspy.Example(question=f"q{index} " + "a" * index, answer="x").with_inputs("question") for index in range(3)
    ]
    with recording() as recorded:
        found = dspy.KNN(k=2, trainset=trainset, vectorizer=dspy.Embedder(vectors))(question="aaa")
    assert len(found) == 2
    recorded.assert_tree("""
        embeddings vectors
        retrieval KNN
          embeddings vectors
    """)
    recorded.assert_conventions()
    facts = recorded.attributes("retrieval KNN")
    assert (facts[sc.RETRIEVAL_TOP_K], facts[sc.RETRIEVAL_DOCUMENT_COUNT]) == (2, 2)
    assert facts[sc.RETRIEVAL_QUERY] == '{"question":"aaa"}'


class Searching(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"topk": [{"text": "cats purr", "pid": 7, "score": 0.5}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def colbert():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Searching)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/search"
    server.shutdown()
    server.server_close()


def test_a_colbert_server_is_a_retrieval_with_its_address(colbert):
    with recording() as recorded:
        (found,) = dspy.ColBERTv2(url=colbert)(f"who purrs? {colbert}", k=1)
    assert found.long_text == "cats purr"
    recorded.assert_tree("retrieval ColBERTv2")
    facts = own(recorded, "retrieval ColBERTv2")
    assert (facts[sc.SERVER_ADDRESS], facts[sc.SERVER_PORT]) == ("127.0.0.1", int(colbert.split(":")[2].split("/")[0]))
    assert json.loads(facts[sc.RETRIEVAL_DOCUMENTS]) == [{"content": "cats purr", "id": "7", "score": 0.5}]
    assert facts[sc.RETRIEVAL_TOP_K] == 1
    assert recorded.one("retrieval ColBERTv2").kind is SpanKind.CLIENT


def test_retrieve_through_a_colbert_server_is_one_retrieval(colbert):
    with recording() as recorded, dspy.context(rm=dspy.ColBERTv2(url=colbert)):
        assert dspy.Retrieve(k=1)(f"who? {colbert}").passages == ["cats purr"]
    recorded.assert_tree("retrieval ColBERTv2")
    recorded.assert_conventions()
    assert recorded.attributes("retrieval ColBERTv2")[sc.SERVER_ADDRESS] == "127.0.0.1"


def test_retrieve_with_a_function_of_the_programs_own():
    class Corpus:
        def __call__(self, query, k, **_):
            return [dspy.dsp.utils.dotdict(long_text=f"{query} {index}") for index in range(k)]

    with recording() as recorded, dspy.context(rm=Corpus()):
        assert dspy.Retrieve(k=2)("cats").passages == ["cats 0", "cats 1"]
    recorded.assert_tree("retrieval Corpus")
    facts = recorded.attributes("retrieval Corpus")
    assert (facts[sc.RETRIEVAL_TOP_K], facts[sc.RETRIEVAL_QUERY]) == (2, "cats")
    assert json.loads(facts[sc.RETRIEVAL_DOCUMENTS]) == [{"content": "cats 0"}, {"content": "cats 1"}]


def test_content_off_says_neither_query_nor_documents():
    with recording(capture_content="none") as recorded:
        dspy.Embeddings(["cats"], dspy.Embedder(vectors), k=1)("a secret question")
    assert "secret" not in str([span.attributes for span in recorded.spans])
    assert recorded.attributes("retrieval Embeddings")[sc.RETRIEVAL_DOCUMENT_COUNT] == 1


class Shelf(dspy.Retrieve):
    def forward(self, query, k=None):
        return dspy.Prediction(passages=[f"{query} on a shelf"])


def corpus(query, k, **_):
    return [dspy.dsp.utils.dotdict(long_text=f"{query} in the corpus")]


@pytest.mark.parametrize(
    ("rm", "kind", "name"),
    [
        (None, Shelf, "Shelf"),
        (corpus, Shelf, "Shelf"),
        (corpus, dspy.Retrieve, "corpus"),
        (None, dspy.Retrieve, "Retrieve"),
    ],
)
def test_a_retriever_is_named_after_what_searches(rm, kind, name):
    with recording() as recorded, dspy.context(rm=rm):
        try:
            kind(k=1)("tea")
        except AssertionError:  # dspy.Retrieve without an rm
            assert rm is None
    assert recorded.spans[0].name == f"retrieval {name}"
    assert recorded.spans[0].attributes[sc.DATA_SOURCE_ID] == name
