"""The agent tools: what a model may ask, what it reads, and what it gets instead of an exception."""

import asyncio
import json
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool, RetrieverTool
from llama_index.core.tools.types import ToolMetadata
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_rag import Models, RagConfig, RagVectorStore
from qwen3_rag.agents.arguments import MAX_TOP_N
from qwen3_rag.agents.retrieval import make_ask_tool, make_search_tool
from qwen3_rag.agents.tools import make_tools
from support.openai_server import OpenAIServer, Reply

QUESTION = "What makes bread dough rise in the oven?"


@pytest.fixture
def index(sweets: list[TextNode], embed_model: Qwen3Embedding) -> VectorStoreIndex:
    return VectorStoreIndex(sweets, embed_model=embed_model)


@pytest.fixture
def search(index: VectorStoreIndex, rerank: Qwen3Rerank) -> FunctionTool:
    return make_search_tool(index, rerank, top_n=2)


def content(output: Any) -> dict[str, Any]:
    return dict(json.loads(output.content))


def test_search_returns_json_rows_best_first(search: FunctionTool) -> None:
    rows = content(search.call(query=QUESTION))["results"]
    assert [row["rank"] for row in rows] == [1, 2]
    assert set(rows[0]) == {"rank", "score", "text", "source", "node_id"}
    assert rows[0]["score"] >= rows[1]["score"]


async def test_sync_and_async_agree_on_a_live_loop(search: FunctionTool) -> None:
    assert search.call(query=QUESTION).content == (await search.acall(query=QUESTION)).content


def test_the_query_reaches_the_models_as_it_is(
    index: VectorStoreIndex, rerank: Qwen3Rerank, seen_queries: list[str]
) -> None:
    make_search_tool(index, rerank).call(query=QUESTION)
    assert set(seen_queries) == {QUESTION}
    seen_queries.clear()
    RetrieverTool(index.as_retriever(), ToolMetadata("any", "any")).call(input=QUESTION)
    assert seen_queries == [f"\ninput is {QUESTION}\n"], "core's own tool has changed; the comparison in tools.py too"


def test_a_positional_argument_is_the_query(search: FunctionTool) -> None:
    assert search(QUESTION).content == search.call(query=QUESTION).content


def test_top_n_is_the_models_choice_and_can_exceed_the_candidates(index: VectorStoreIndex, rerank: Qwen3Rerank) -> None:
    tool = make_search_tool(index, rerank, top_k=2, top_n=1)
    assert len(content(tool.call(query=QUESTION))["results"]) == 1
    assert len(content(tool.call(query=QUESTION, top_n=4))["results"]) == 4
    assert rerank.top_n == 3, "the caller's reranker was changed"


def test_filters_may_come_as_an_object_or_as_text(config: RagConfig, store: RagVectorStore, models: Models) -> None:
    search, _ = make_tools(config, store, models)
    for filters in ({"source": "knowledge/rag.md"}, '{"source": "knowledge/rag.md"}'):
        rows = content(search.call(query="Why cite sources?", filters=filters))["results"]
        assert {row["source"] for row in rows} == {"knowledge/rag.md"}


@pytest.mark.parametrize("value", ['" or 1 == 1 or source == "', "a\\'b", "no such file"])
def test_a_filter_value_is_never_read_as_an_expression(
    value: str, config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    search, _ = make_tools(config, store, models)
    result = content(search.call(query="Why cite sources?", filters={"source": value}))
    assert result["results"] == []
    assert "try without" in result["note"]


def test_the_instruction_reaches_both_models(search: FunctionTool, seen_instructions: dict[str, Any]) -> None:
    search.call(query=QUESTION, instruction="Given a question, retrieve recipes")
    assert seen_instructions == dict.fromkeys(("embedding", "reranking"), "Given a question, retrieve recipes")
    search.call(query=QUESTION, instruction="")
    assert seen_instructions == dict.fromkeys(("embedding", "reranking"), None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["query", "missing"]),
        ({"query": "  "}, ["query", "empty"]),
        ({"query": QUESTION, "top_n": 0}, ["top_n=0", "1"]),
        ({"query": QUESTION, "top_n": MAX_TOP_N + 1}, [f"top_n={MAX_TOP_N + 1}", str(MAX_TOP_N)]),
        ({"query": QUESTION, "top_n": "many"}, ["top_n", "many"]),
        ({"query": QUESTION, "filters": {"a b": 1}}, ["'a b'", "metadata key"]),
        ({"query": QUESTION, "filters": ["x"]}, ["filters", "dictionary"]),
        ({"query": QUESTION, "filters": "{broken"}, ["filters"]),
        ({"query": QUESTION, "page": 2}, ["'page'", "not an argument"]),
        ({"query": QUESTION, "instruction": "Instruct: x\nQuery:"}, ["template"]),
        ({"query": "word " * 9000}, ["never cut"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
async def test_wrong_arguments_come_back_as_results(
    search: FunctionTool, arguments: dict[str, Any], words: list[str]
) -> None:
    for output in (search.call(**arguments), await search.acall(**arguments)):
        assert output.is_error
        assert all(word in content(output)["error"] for word in words), output.content
        assert len(output.content) < 1000


def test_a_failing_database_is_a_result(config: RagConfig, models: Models, store: RagVectorStore) -> None:
    gone = store.model_copy(update={"collection_name": "dropped_by_someone"})
    search, _ = make_tools(config, gone, models)
    output = search.call(query=QUESTION)
    assert output.is_error
    assert "database failed" in content(output)["error"]


def test_a_bug_is_a_result_without_details_and_is_logged(
    index: VectorStoreIndex, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Qwen3Rerank):
        def _postprocess_nodes(self, *_: Any, **__: Any) -> Any:
            raise KeyError("secret detail")

    output = make_search_tool(index, Broken("tiny")).call(query=QUESTION)
    assert output.is_error
    assert "secret" not in output.content
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("max_chars", [1_000, 5_000])
def test_results_stay_within_their_bound(embed_model: Qwen3Embedding, rerank: Qwen3Rerank, max_chars: int) -> None:
    nodes = [TextNode(text=f"{i} " + '"\n\x00é' * 500, metadata={"source": f"{i}.md"}) for i in range(8)]
    assert all(len(json.dumps(node.text)) > max_chars for node in nodes), "one alone is over the bound"
    nodes += [TextNode(text="A short one.", metadata={"source": "short.md"})]
    tool = make_search_tool(VectorStoreIndex(nodes, embed_model=embed_model), rerank, max_chars=max_chars)
    output = tool.call(query=QUESTION, top_n=9)
    assert len(output.content) <= max_chars
    result = content(output)
    assert "cut" in result["note"]
    texts = [row["text"] for row in result["results"]]
    assert all(text == "A short one." or text.endswith(" ...") for text in texts)


def test_unusable_settings_are_refused(index: VectorStoreIndex) -> None:
    with pytest.raises(ValueError, match=r"top_n=50 must be from 1 to 20"):
        make_search_tool(index, top_n=50)
    with pytest.raises(ValueError, match=r"max_chars=10 must be at least 1000"):
        make_search_tool(index, max_chars=10)


def test_the_schema_fits_openais_function_calls(search: FunctionTool) -> None:
    function = search.metadata.to_openai_tool()["function"]  # refuses descriptions over 1,024 characters
    assert function["name"] == "search"
    assert list(function["parameters"]["properties"]) == ["query", "top_n", "filters", "instruction"]
    assert function["parameters"]["required"] == ["query"]
    assert all(one["description"] for one in function["parameters"]["properties"].values())


async def test_ask_answers_with_numbered_sources(index: VectorStoreIndex, rerank: Qwen3Rerank, llm: OpenAI) -> None:
    tool = make_ask_tool(index, rerank, llm=llm, top_n=4)
    for output in (tool.call(query=QUESTION), await tool.acall(query=QUESTION)):
        result = content(output)
        assert result["answer"].startswith("Yeast makes the dough rise")
        cited = [source for source in result["sources"] if source["cited"]]
        assert [f"[{source['number']}]" for source in cited] == [result["answer"][-3:]]
        assert cited[0]["node_id"] == "bread"


@pytest.mark.parametrize(("status", "words"), [(401, "refused the key"), (500, "status 500")])
async def test_a_failing_language_model_is_a_result(
    status: int, words: str, config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    with OpenAIServer(lambda _: Reply("broken", status=status)) as server:
        at = config.model_copy(update={"llm_base_url": server.url})
        _, ask = make_tools(at, store, models)
        output = await ask.acall(query=QUESTION)
    assert output.is_error
    assert words in content(output)["error"]


async def test_a_cancelled_call_is_cancelled(search: FunctionTool) -> None:
    task = asyncio.create_task(search.acall(query=QUESTION))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
