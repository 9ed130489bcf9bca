"""Agents that look things up, on LlamaIndex's own OpenAI client over HTTP, streamed, with real function calls."""

from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.llms.openai import OpenAI
from qwen3_rag import Models, RagConfig, RagVectorStore, make_index
from qwen3_rag.agents.tools import make_tools
from support.openai_server import OpenAIServer

QUESTIONS = [
    (
        "What does an embedded database lock while it is open?",
        "locks its folder while it is open.",
        "knowledge/milvus.md",
    ),
    (
        "What does BM25 count in a passage?",
        "BM25 counts how often the words of the question occur",
        "knowledge/retrieval.md",
    ),
    ("What is fine-tuning a poor way to store?", "it is a poor way to store facts", "knowledge/rag.md"),
]


@pytest.fixture
def tools(config: RagConfig, store: RagVectorStore, models: Models, llm: OpenAI) -> list[FunctionTool]:
    return make_tools(config, store, models, llm=llm)


async def run(agent: FunctionAgent, question: str) -> tuple[str, list[ToolCallResult]]:
    handler = agent.run(question)
    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    return str(await handler), results


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("question", "answer", "source"), QUESTIONS)
async def test_agent_searches_for_the_plain_question_and_cites_the_right_passage(
    question: str,
    answer: str,
    source: str,
    streaming: bool,
    tools: list[FunctionTool],
    llm: OpenAI,
    language_model: OpenAIServer,
) -> None:
    agent = FunctionAgent(tools=tools[:1], llm=llm, streaming=streaming)
    said, results = await run(agent, question)
    assert [(one.tool_name, one.tool_kwargs) for one in results] == [("search", {"query": question})]
    assert answer in said
    assert said.endswith(f"({source})")
    assert [request.stream for request in language_model.requests] == [streaming] * 2
    # The model saw exactly what the tool returned.
    seen = [message for message in language_model.requests[-1].messages if message["role"] == "tool"]
    assert text_of(seen[0]) == results[0].tool_output.content


@pytest.mark.parametrize(("question", "answer", "source"), QUESTIONS)
async def test_agent_hands_on_a_cited_answer(
    question: str, answer: str, source: str, tools: list[FunctionTool], llm: OpenAI
) -> None:
    said, results = await run(FunctionAgent(tools=tools[1:2], llm=llm), question)
    assert answer in said
    cited = [one for one in results[0].tool_output.raw_output.sources if one.cited]
    assert [one.source for one in cited] == [source]
    assert said.endswith(f"[{cited[0].number}]")


async def test_without_the_right_passage_the_agent_does_not_know(
    config: RagConfig, store: RagVectorStore, models: Models, llm: OpenAI
) -> None:
    """The model of these tests knows nothing of its own: with the wrong passages the tests above would fail."""
    search, *_ = make_tools(config, store, models, llm=llm)

    async def elsewhere(query: str) -> Any:
        return await search.async_fn(query=query, filters={"source": "knowledge/nihongo.md"})

    wrong = FunctionTool.from_defaults(async_fn=elsewhere, name="search", description="Search")
    said, _ = await run(FunctionAgent(tools=[wrong], llm=llm), QUESTIONS[0][0])
    assert QUESTIONS[0][1] not in said


async def test_agent_reads_a_failure_and_goes_on(
    config: RagConfig, store: RagVectorStore, models: Models, llm: OpenAI
) -> None:
    gone = store.model_copy(update={"collection_name": "dropped_by_someone"})
    said, results = await run(FunctionAgent(tools=make_tools(config, gone, models)[:1], llm=llm), QUESTIONS[0][0])
    assert results[0].tool_output.is_error
    assert said.startswith("The tool failed: the database failed")


async def test_query_engine_tool_in_an_agent(store: RagVectorStore, models: Models, llm: OpenAI) -> None:
    engine = make_index(store, models.embed).as_query_engine(
        llm=llm, similarity_top_k=10, node_postprocessors=[models.rerank]
    )
    tool = QueryEngineTool.from_defaults(engine, name="handbook", description="Answers questions")
    for question, answer, _ in QUESTIONS:
        assert answer in (await run(FunctionAgent(tools=[tool], llm=llm), question))[0]


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
