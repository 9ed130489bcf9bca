"""The agent tools: what a model may ask, what it reads, and what it gets instead of an exception."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool, RetrieverTool
from llama_index.core.tools.types import ToolMetadata
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_rag import Models, RagConfig, RagVectorStore, Session, make_document
from qwen3_rag.agents.arguments import MAX_TOP_N
from qwen3_rag.agents.fitting import MAX_CHARS, size
from qwen3_rag.agents.reading import read_tool
from qwen3_rag.agents.results import DocumentPart
from qwen3_rag.agents.retrieval import make_ask_tool, make_search_tool
from qwen3_rag.agents.tools import make_tools
from qwen3_rag.agents.wrapping import MATERIAL
from qwen3_rag.query.rows import short_id
from qwen3_rag.query.stages import Mode
from support.openai_server import OpenAIServer, Reply

QUESTION = "What makes bread dough rise in the oven?"


@pytest.fixture
def index(sweets: list[TextNode], embed_model: Qwen3Embedding) -> VectorStoreIndex:
    return VectorStoreIndex(sweets, embed_model=embed_model)


@pytest.fixture
def search(index: VectorStoreIndex, rerank: Qwen3Rerank) -> FunctionTool:
    return make_search_tool(index, rerank, top_n=2)


def content(output: Any) -> dict[str, Any]:
    """The result as a program sees it."""
    return dict(output.raw_output.model_dump(mode="json", exclude_none=True))


def test_search_returns_rows_best_first_and_a_text_that_says_the_same(search: FunctionTool) -> None:
    output = search.call(query=QUESTION)
    rows = content(output)["results"]
    assert [row["rank"] for row in rows] == [1, 2]
    assert set(rows[0]) == {"rank", "score", "text", "source", "id"}
    assert rows[0]["score"] >= rows[1]["score"]
    assert rows[0]["id"] == short_id("bread")
    head, _, text = output.content.partition("\n")
    assert head == f"2 passages, best first. {MATERIAL}"
    for row in rows:
        assert f'<passage id="{row["id"]}" source="" rank="{row["rank"]}"' in text
        assert f'">\n{row["text"]}\n</passage>' in text


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


@pytest.mark.parametrize(
    "filters",
    [
        ["source=knowledge/rag.md"],
        "source=knowledge/rag.md",
        '["source=knowledge/rag.md", "position>=0"]',
        {"source": "knowledge/rag.md"},
        '{"source": "knowledge/rag.md"}',
        ["source>=knowledge/rag.md", "source<knowledge/rag.n"],
    ],
    ids=str,
)
def test_filters_may_come_in_any_form(filters: Any, config: RagConfig, store: RagVectorStore, models: Models) -> None:
    search, *_ = make_tools(config, store, models)
    rows = content(search.call(query="Why cite sources?", filters=filters))["results"]
    assert {row["source"] for row in rows} == {"knowledge/rag.md"}


async def test_null_is_the_same_as_nothing(config: RagConfig, store: RagVectorStore, models: Models) -> None:
    for tool in make_tools(config, store, models):
        needed = {"query": "Why cite sources?", "source": "knowledge/rag.md"}
        schema = tool.metadata.get_parameters_dict()
        given = {name: needed[name] for name in schema.get("required", [])}
        nulls = dict.fromkeys(schema["properties"])
        if tool.metadata.name == "ask":
            continue  # its language model is elsewhere
        assert tool.call(**{**nulls, **given}).content == tool.call(**given).content


def test_a_query_that_looks_like_json_is_a_query(search: FunctionTool, seen_queries: list[str]) -> None:
    for query in ('["a list"]', '{"an": "object"}', "null", "12"):
        assert not search.call(query=query).is_error
    assert set(seen_queries) == {'["a list"]', '{"an": "object"}', "null", "12"}


def test_what_is_excluded_makes_room_for_others(config: RagConfig, store: RagVectorStore, models: Models) -> None:
    """Page by page through a reranked list: nothing comes twice, nothing is left out, each page is full."""
    few = config.model_copy(update={"top_k": 5, "top_n": 3})
    search, *_ = make_tools(few, store, models)
    seen: list[str] = []
    while rows := content(search.call(query="Why cite sources?", filters=["source=knowledge/rag.md"], exclude=seen))[
        "results"
    ]:
        assert len(rows) == 3 or len(seen) + len(rows) == store.count_sources()["knowledge/rag.md"]
        seen += [row["id"] for row in rows]
    assert len(seen) == len(set(seen)) == store.count_sources()["knowledge/rag.md"]
    last = content(search.call(query="Why cite sources?", filters=["source=knowledge/rag.md"], exclude=seen))
    assert last["results"] == []


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
async def test_the_first_stage_stays_full_whatever_is_excluded(
    mode: Mode, config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    stages = Session(config, store, models).stages
    whole = stages.run("Why cite sources?", top_k=12, top_n=3, mode=mode)
    gone = [hit.node_id for hit in whole.candidates[:4:2]]
    for exclude in (gone, [short_id(one) for one in gone]):
        left = stages.run("Why cite sources?", top_k=8, top_n=3, mode=mode, exclude=exclude)
        same = await stages.arun("Why cite sources?", top_k=8, top_n=3, mode=mode, exclude=exclude)
        assert [hit.node_id for hit in left.candidates] == [hit.node_id for hit in same.candidates]
        assert len(left.candidates) == 8
        assert not {hit.node_id for hit in left.candidates} & set(gone)
    if mode == "dense":
        assert [hit.node_id for hit in left.candidates] == [
            hit.node_id for hit in whole.candidates if hit.node_id not in gone
        ][:8]
    one = stages.run("Why cite sources?", mode=mode, exclude=gone[0])
    assert gone[0] not in {hit.node_id for hit in one.candidates}


def test_without_the_second_stage_the_first_ones_order_is_given(
    config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    search, *_ = make_tools(config, store, models)
    first = [short_id(hit.node_id) for hit in Session(config, store, models).retrieve("Why cite?").candidates[:3]]
    rows = content(search.call(query="Why cite?", rerank="false"))["results"]
    assert [row["id"] for row in rows] == first


async def test_reading_on_behind_and_around_a_hit(config: RagConfig, store: RagVectorStore, models: Models) -> None:
    search, _, read, *_ = make_tools(config, store, models)
    hit = content(search.call(query="What is fine-tuning a poor way to store?", top_n=1))["results"][0]
    total = store.count_sources()[hit["source"]]
    whole = content(read.call(source=hit["source"], count=50))
    assert ([one["position"] for one in whole["passages"]], whole["total"]) == (list(range(total)), total)
    assert "next" not in whole
    at = hit["position"]
    assert whole["passages"][at].items() <= hit.items()
    around = await read.acall(**{"source": hit["source"], "from": max(at - 1, 0), "count": 2})
    assert content(around)["passages"] == whole["passages"][max(at - 1, 0) :][:2]
    # Page by page, as the result itself says.
    pages, start = [], 0
    while start is not None:
        page = content(read.call(**{"source": hit["source"], "from": start, "count": 2}))
        pages += page["passages"]
        start = page.get("next")
    assert pages == whole["passages"]
    behind = read.call(**{"source": hit["source"], "from": total})
    assert content(behind)["passages"] == []
    assert f"has {total} passages" in content(behind)["note"]
    wrong = read.call(source="rag.md")
    assert wrong.is_error
    assert "knowledge/rag.md" in wrong.content


def test_what_does_not_fit_is_read_in_pieces_and_nothing_is_lost(models: Models, tmp_path: Path) -> None:
    config = RagConfig(uri=str(tmp_path / "large.db"), embed_model="tiny", chunk_size=8192, top_k=3)
    texts = [f"## Part {part}\n\n" + f"Line {part} of the log. " * 900 for part in range(3)]  # 20,000 letters each
    with Session(config, models=models) as session:
        session.ingest_documents([make_document("\n\n".join(texts), "log.md", "markdown")])
        read = read_tool(session)
        several = read.call(source="log.md", count=3)
        assert size(several) <= MAX_CHARS
        assert isinstance(several, DocumentPart)
        assert (len(several.passages), several.next) == (1, 1)
        assert "count=1 gives it whole" in str(several.note)
        whole = [read.call(**{"source": "log.md", "from": part, "count": 1}) for part in range(3)]
        assert " ".join(one.passages[0].text for one in whole if isinstance(one, DocumentPart)).split() == (
            " ".join(texts).split()
        )
        short = read.call(source="log.md", count=1)
        assert str(short).count("</passage>") == 1


@pytest.mark.parametrize("value", ['" or 1 == 1 or source == "', "a\\'b", "no such file"])
def test_a_filter_value_is_never_read_as_an_expression(
    value: str, config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    search, *_ = make_tools(config, store, models)
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
        ({"query": QUESTION, "filters": ["x"]}, ["filters", "'x'", "key=value", "describe_collection"]),
        ({"query": QUESTION, "filters": "{broken"}, ["filters", "{broken", "key=value"]),
        ({"query": QUESTION, "filters": 7}, ["filters", "7", "list"]),
        ({"query": QUESTION, "filters": "[" * 100_000}, ["filters", "key=value"]),
        ({"query": QUESTION, "detail": "short"}, ["detail='short'", "concise", "full"]),
        ({"query": QUESTION, "rerank": "perhaps"}, ["rerank='perhaps'"]),
        ({"query": QUESTION, "exclude": ["x"] * 501}, ["exclude", "500"]),
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
        assert output.content == f"Error: {content(output)['error']}"
        assert len(output.content) < 1000


def test_a_failing_database_is_a_result(config: RagConfig, models: Models, store: RagVectorStore) -> None:
    gone = store.model_copy(update={"collection_name": "dropped_by_someone"})
    search, *_ = make_tools(config, gone, models)
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
    nodes = [TextNode(text=f"{i} " + '"\n\x00é' * 320, metadata={"source": f"{i}.md"}) for i in range(8)]
    assert all(len(json.dumps(node.text)) > max_chars for node in nodes), "one alone is over the bound"
    nodes += [TextNode(text="A short one.", metadata={"source": "short.md"})]
    tool = make_search_tool(VectorStoreIndex(nodes, embed_model=embed_model), rerank, max_chars=max_chars)
    output = tool.call(query=QUESTION, top_n=9)
    result = content(output)
    assert len(output.content) <= max_chars
    assert len(json.dumps(result, ensure_ascii=False)) <= max_chars * 1.05  # written by another library
    assert "cut" in result["note"]
    texts = [row["text"] for row in result["results"]]
    assert all(text == "A short one." or text.endswith(" ...") for text in texts)
    concise = tool.call(query=QUESTION, top_n=9, detail="concise")
    assert len(concise.content) <= max_chars
    assert all(len(row["text"]) <= 200 and "\n" not in row["text"] for row in content(concise)["results"])


def test_unusable_settings_are_refused(index: VectorStoreIndex) -> None:
    with pytest.raises(ValueError, match=r"top_n=50 must be from 1 to 20"):
        make_search_tool(index, top_n=50)
    with pytest.raises(ValueError, match=r"max_chars=10 must be at least 1000"):
        make_search_tool(index, max_chars=10)


def test_the_schema_fits_openais_function_calls(search: FunctionTool) -> None:
    function = search.metadata.to_openai_tool()["function"]  # refuses descriptions over 1,024 characters
    assert function["name"] == "search"
    properties = function["parameters"]["properties"]
    assert list(properties) == ["query", "top_n", "filters", "instruction", "detail", "rerank", "exclude"]
    assert function["parameters"]["required"] == ["query"]
    # Unions and nulls, which some clients cannot read, are in none of them.
    assert all(one["description"] and (one.get("type") or one.get("enum")) for one in properties.values())
    assert not any("anyOf" in one or ("default" in one and one["default"] is None) for one in properties.values())


async def test_ask_answers_with_numbered_sources(index: VectorStoreIndex, rerank: Qwen3Rerank, llm: OpenAI) -> None:
    tool = make_ask_tool(index, rerank, llm=llm, top_n=4)
    for output in (tool.call(query=QUESTION), await tool.acall(query=QUESTION)):
        result = content(output)
        assert result["answer"].startswith("Yeast makes the dough rise")
        cited = [source for source in result["sources"] if source["cited"]]
        assert [f"[{source['number']}]" for source in cited] == [result["answer"][-3:]]
        assert cited[0]["id"] == short_id("bread")


@pytest.mark.parametrize(("status", "words"), [(401, "refused the key"), (500, "status 500")])
async def test_a_failing_language_model_is_a_result(
    status: int, words: str, config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    with OpenAIServer(lambda _: Reply("broken", status=status)) as server:
        at = config.model_copy(update={"llm_base_url": server.url})
        _, ask, *_ = make_tools(at, store, models)
        output = await ask.acall(query=QUESTION)
    assert output.is_error
    assert words in content(output)["error"]


async def test_a_cancelled_call_is_cancelled(search: FunctionTool) -> None:
    task = asyncio.create_task(search.acall(query=QUESTION))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
