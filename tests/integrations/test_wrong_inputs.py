"""Frequent slips at the call: each is an error that says what to pass, sync and async, before anything is reported."""

import asyncio
import inspect

import pytest
from llama_index.core.callbacks import CBEventType
from llama_index.core.schema import Document, MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.embeddings.qwen3 import Qwen3Embedding, use_instruction
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_conformance.recording import recording
from qwen3_inference import NumericalError
from qwen3_inference.tokenization import PromptTokenizer
from support.engines import FLOAT32_ON_CPU, embedder


@pytest.fixture(scope="module")
def model(embedding_folder):
    return Qwen3Embedding(str(embedding_folder), embed_batch_size=2, **FLOAT32_ON_CPU)


@pytest.fixture(scope="module")
def rerank(reranker_folder):
    return Qwen3Rerank(str(reranker_folder), **FLOAT32_ON_CPU)


def call(component, method, *arguments, **options):
    result = getattr(component, method)(*arguments, **options)
    return asyncio.run(_wait(result)) if inspect.isawaitable(result) else result


async def _wait(result):
    return await result


def each_way(*names):
    return pytest.mark.parametrize("method", [way + name for name in names for way in ("", "a")])


def refused(component, message, method, *arguments, **options):
    kind = CBEventType.EMBEDDING if isinstance(component, Qwen3Embedding) else CBEventType.RERANKING
    with recording(component, kind) as record, pytest.raises(ValueError, match=message) as caught:
        call(component, method, *arguments, **options)
    assert type(caught.value) is ValueError
    assert not record.started
    assert all("Span" in event.class_name() for event in record.events)


WRONG_TEXTS = {
    "None": (None, "is NoneType, not a string: None; pass a string"),
    "int": (3, "is int, not a string: 3; pass a string"),
    "bytes": (b"abc", "is bytes, not a string: b'abc'; decode it first"),
    "list": (["a"], r"is list, not a string: \['a'\]; pass a string"),
    "node": (TextNode(text="a"), r"is TextNode, not a string: .*; pass its text, node.get_content\(\)"),
    "bundle": (QueryBundle("a"), "is QueryBundle, not a string: .*; pass its query_str"),
}
each_wrong_text = pytest.mark.parametrize(("wrong", "message"), WRONG_TEXTS.values(), ids=WRONG_TEXTS)


@each_way("get_query_embedding", "get_text_embedding")
@each_wrong_text
def test_a_text_of_a_wrong_type(model, method, wrong, message):
    refused(model, f"^the {'query' if 'query' in method else 'text'} {message}", method, wrong)


LISTS = ("get_text_embedding_batch", "get_agg_embedding_from_queries")


@each_way(*LISTS)
@each_wrong_text
def test_a_wrong_entry_is_named_by_its_index_in_the_whole_list(model, method, wrong, message):
    noun = "query" if "queries" in method else "text"
    refused(model, f"^{noun} 4 {message}", method, ["a", "b", "c", "d", wrong])


@each_way(*LISTS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("abc", r"'abc' is one string where a list of strings belongs; pass \[text\], or call a?get_"),
        (None, "None is NoneType where a list of strings belongs; pass a list of strings"),
        (b"abc", "is bytes where a list of strings belongs; decode it first"),
        ({"a": 1}, "is dict where a list of strings belongs"),
        ({"a", "b"}, "is set where a list of strings belongs"),
        (3, "is int where a list of strings belongs"),
        (QueryBundle("a"), "is QueryBundle where a list of strings belongs; pass its query_str"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_list_of_texts(model, method, wrong, message):
    refused(model, message, method, wrong)


@each_way(*LISTS)
def test_a_tuple_and_a_generator_are_lists_of_texts(model, method):
    expected = call(model, method, ["a", "b", "c"])
    assert call(model, method, ("a", "b", "c")) == expected
    assert call(model, method, (text for text in "abc")) == expected


@each_way("get_text_embedding_batch", "get_agg_embedding_from_queries")
def test_a_lone_surrogate_is_at_the_callers_index_and_position(model, method):
    noun = "query" if "queries" in method else "text"
    with pytest.raises(ValueError, match=rf"^{noun} 3 has the lone surrogate '\\udcff' at position 5, .*; clean it"):
        call(model, method, ["a", "é", "c", "hello\udcff", "e"])


@each_way("get_query_embedding")
def test_a_lone_surrogate_of_a_query_or_instruction_is_in_the_callers_string(model, method):
    with pytest.raises(ValueError, match=r"^the query has the lone surrogate .* at position 2"):
        call(model, method, "ab\ud800")
    with (
        use_instruction("Find \ud800"),
        pytest.raises(ValueError, match=r"^the instruction has the lone surrogate .* at position 5"),
    ):
        call(model, method, "fine")


@each_way("get_text_embedding_batch")
@pytest.mark.parametrize("cached", [False, True], ids=["", "cached"])
def test_a_vector_that_is_not_finite_is_at_the_callers_index(embedding_folder, method, cached):
    engine = embedder(embedding_folder)
    engine.load()
    engine._model.decoder.embedding[PromptTokenizer(embedding_folder).encode(["ü"])[0][0]] = float("nan")
    model = Qwen3Embedding(engine=engine, embed_batch_size=4, embeddings_cache=SimpleKVStore() if cached else None)
    model.get_text_embedding_batch(["e", "f"])
    with pytest.raises(NumericalError, match=r"in the whole list: 6\)") as caught:
        call(model, method, ["a", "b", "c", "d", "e", "f", "ü"])
    assert caught.value.indices == [6]


NODE, FOUND = TextNode(text="a", id_="one"), NodeWithScore(node=TextNode(text="a", id_="one"))


@each_way("postprocess_nodes")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([NODE], r"nodes\[0\] is a TextNode, not a NodeWithScore; pass NodeWithScore\(node=node\)"),
        (
            [FOUND, Document(text="a")],
            r"nodes\[1\] is a Document, not a NodeWithScore; pass NodeWithScore\(node=node\)",
        ),
        ([FOUND, "text"], r"nodes\[1\] is a str, not a NodeWithScore; .* or strings to rank\(query, documents\)"),
        ([None], r"nodes\[0\] is a NoneType, not a NodeWithScore"),
        ([{"text": "a"}], r"nodes\[0\] is a dict, not a NodeWithScore"),
        (FOUND, "is a NodeWithScore; pass a list of NodeWithScore"),
        ("text", "nodes='text' is a str; pass a list of NodeWithScore"),
        (None, "nodes=None is a NoneType; pass a list of NodeWithScore"),
    ],
    ids=lambda value: type(value[0] if isinstance(value, list) else value).__name__,
)
def test_what_is_no_list_of_nodes(rerank, method, wrong, message):
    refused(rerank, message, method, wrong, query_str="q")


@each_way("postprocess_nodes")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("q", r"query_bundle='q' is a str; pass query_bundle=QueryBundle\(text\) or query_str=text"),
        (3, "query_bundle=3 is a int; pass"),
        (FOUND, "is a NodeWithScore; pass query_bundle="),
        (None, "reranking needs the query: pass query_bundle="),
        (QueryBundle(None), "reranking needs the query: pass query_bundle="),
        (QueryBundle(b"q"), "the query b'q' must be a string; pass query_bundle="),
    ],
    ids=["str", "int", "node", "none", "bundle-of-none", "bundle-of-bytes"],
)
def test_what_is_no_query(rerank, method, wrong, message):
    refused(rerank, message, method, [FOUND], wrong)
    if isinstance(wrong, QueryBundle) and wrong.query_str is not None:
        refused(rerank, message, method, [FOUND], query_str=wrong.query_str)


@each_way("postprocess_nodes")
@pytest.mark.parametrize(
    ("node", "query", "message"),
    [
        (TextNode(text="abc\ud800", id_="x"), "q", "^node 'x' .index 1. has the lone surrogate .* at position 3,"),
        (
            TextNode(text="  abc\ud800", metadata={"title": "long " * 9}, id_="x"),
            "q",
            "^node 'x' .index 1. has the lone surrogate .* at position 5,",
        ),
        (
            TextNode(text="fine", metadata={"a": "b", "title": "t\udfff"}, id_="x"),
            "q",
            "^metadata 'title' of node 'x' .index 1. has the lone surrogate .* at position 1,",
        ),
        (
            TextNode(text="fine", metadata={"\ud800": "value"}, id_="x"),
            "q",
            "^node 'x' .index 1. with its metadata has the lone surrogate .* at position 0,",
        ),
        (TextNode(text="fine", id_="x"), "what\ud800", "^the query has the lone surrogate .* at position 4,"),
    ],
    ids=["text", "text-behind-metadata", "metadata", "metadata-key", "query"],
)
def test_a_lone_surrogate_is_named_by_node_and_place_in_the_callers_string(rerank, method, node, query, message):
    with pytest.raises(ValueError, match=message):
        call(rerank, method, [FOUND, NodeWithScore(node=node)], query_str=query)


@each_way("postprocess_nodes")
def test_a_surrogate_in_metadata_that_is_not_judged_is_no_error(rerank, method):
    node = TextNode(text="é", metadata={"raw": "\ud800"}, excluded_embed_metadata_keys=["raw"])
    assert node.get_content(MetadataMode.EMBED) == "é"
    assert len(call(rerank, method, [NodeWithScore(node=node)], query_str="q")) == 1
