"""A node whose metadata leaves no room for its text says so, once a call, with its id and the counts."""

import asyncio
import pickle
import warnings

import pytest
from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference.prompts import (
    DEFAULT_INSTRUCTION,
    RERANK_PREFIX,
    RERANK_SUFFIX,
    rerank_instruction_text,
    rerank_query_text,
)
from qwen3_inference.texts import Passage
from qwen3_inference.tokenization import PromptTokenizer
from support.engines import FLOAT32_ON_CPU

MAX_LENGTH = 200


def node(words: int, name: str, text: str = "the text itself", **options) -> NodeWithScore:
    return NodeWithScore(node=TextNode(text=text, id_=name, metadata={"title": "word " * words}, **options))


def warnings_of(call) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in said if "no room" in str(warning.message)]


@pytest.fixture(params=["embedding", "reranker"])
def tokenizer(request):
    folder = request.getfixturevalue(f"{request.param}_folder")
    tokenizer = PromptTokenizer(folder)
    tokenizer.kind = request.param
    return tokenizer


@pytest.fixture
def calls(tokenizer):
    """The call on nodes, sync and async, and how many tokens of a document fit."""
    if tokenizer.kind == "embedding":
        model = Qwen3Embedding(tokenizer.folder, max_length=MAX_LENGTH, **FLOAT32_ON_CPU)
        room = MAX_LENGTH - 1
        return room, [
            lambda nodes: model([found.node for found in nodes]),
            lambda nodes: asyncio.run(model.acall([found.node for found in nodes])),
        ]
    rerank = Qwen3Rerank(tokenizer.folder, max_length=MAX_LENGTH, **FLOAT32_ON_CPU)
    prompt = (RERANK_PREFIX, rerank_instruction_text(DEFAULT_INSTRUCTION), rerank_query_text("q"), RERANK_SUFFIX)
    room = MAX_LENGTH - sum(len(tokenizer.encode_template(part)) for part in prompt)
    return room, [
        lambda nodes: rerank.postprocess_nodes(nodes, query_str="q"),
        lambda nodes: asyncio.run(rerank.apostprocess_nodes(nodes, query_str="q")),
    ]


@pytest.mark.parametrize("way", [0, 1], ids=["sync", "async"])
def test_a_text_cut_away_completely_is_one_warning_with_id_and_counts(calls, tokenizer, way):
    room, ways = calls
    lost = node(400, "lost")
    nodes = [node(2, "fine"), lost, node(2, "long-text", "text " * 900), node(600, "lost-too")]
    [said] = warnings_of(lambda: ways[way](nodes))
    before = lost.node.get_content(MetadataMode.EMBED).removesuffix("the text itself")
    count = len(tokenizer.encode([before])[0])
    assert f"no room for the text of 2 of 4 documents: {room} tokens fit" in said
    assert f"(node 'lost': {count}, node 'lost-too': " in said
    assert "excluded_embed_metadata_keys" in said


def test_the_bound_is_the_first_token_of_the_text(calls, tokenizer):
    room, ways = calls
    words = 1
    while (
        len(tokenizer.encode([node(words, "x").node.get_content(MetadataMode.EMBED)[: -len("the text itself")]])[0])
        < room
    ):
        words += 1
    assert warnings_of(lambda: ways[0]([node(words - 3, "x")])) == []
    assert len(warnings_of(lambda: ways[0]([node(words, "x")]))) == 1


def test_metadata_that_is_not_read_or_stands_behind_is_no_loss(calls):
    _, ways = calls
    hidden = node(400, "x", excluded_embed_metadata_keys=["title"])
    behind = node(400, "x", text_template="{content}\n\n{metadata_str}")
    empty = node(400, "x", text="")
    for found in (hidden, behind, empty):
        assert warnings_of(lambda found=found: ways[0]([found])) == []


def test_a_passage_is_its_string_and_pickles():
    passage = Passage("title: t\n\ntext", "title: t\n\n", "node 'x'")
    copy = pickle.loads(pickle.dumps(passage))
    assert copy == passage == "title: t\n\ntext"
    assert hash(copy) == hash(str(passage))
    assert (copy.before, copy.name) == (passage.before, passage.name)
