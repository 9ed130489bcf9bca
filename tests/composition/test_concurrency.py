"""Many questions at once through one engine: all answered, as if asked one after another, in flat memory."""

import asyncio
import gc
from pathlib import Path

import pytest
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.tools import ToolOutput
from llama_index.llms.openai import OpenAI
from qwen3_rag import Models, RagConfig, RagVectorStore, make_query_engine
from qwen3_rag.agents.tools import make_tools
from qwen3_rag.query.engine import make_retriever

TOPICS = ("a flat index", "hybrid search", "BM25", "overlap", "backups", "an upsert", "citing sources", "fine-tuning")
QUESTIONS = [f"What should one know about {topic}, in case {number}?" for number in range(10) for topic in TOPICS]


@pytest.fixture
def engine(config: RagConfig, store: RagVectorStore, models: Models, llm: OpenAI) -> RetrieverQueryEngine:
    return make_query_engine(config, store, models, llm=llm)


async def test_80_questions_at_once_are_answered_as_one_after_another(
    config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    """Both stages without a language model, whose rate would hide theirs."""
    retriever = make_retriever(config, store, models.embed)

    async def best(question: str) -> list[tuple[str, float]]:
        found = await retriever.aretrieve(question)
        kept = await models.rerank.apostprocess_nodes(found, query_str=question) if models.rerank else found
        return [(hit.node_id, hit.score or 0.0) for hit in kept]

    alone = [await best(question) for question in QUESTIONS]
    gc.collect()
    before = resident()
    together = await asyncio.gather(*(best(question) for question in QUESTIONS))
    gc.collect()
    grown = resident() - before
    assert [[node for node, _ in rows] for rows in together] == [[node for node, _ in rows] for rows in alone]
    pairs = zip((hit for rows in alone for hit in rows), (hit for rows in together for hit in rows), strict=True)
    assert max(abs(a - b) for (_, a), (_, b) in pairs) <= 1e-5
    assert grown < 100, f"{grown:.0f} MB more after 80 questions"


async def test_80_awaited_answers_through_one_query_engine(engine: RetrieverQueryEngine) -> None:
    answers = await asyncio.gather(*(engine.aquery(question) for question in QUESTIONS))
    assert all(len(answer.source_nodes) == 3 for answer in answers)
    few = QUESTIONS[:: len(QUESTIONS) // 10]
    alone = {question: str(await engine.aquery(question)) for question in few}
    assert alone == {question: str(answers[QUESTIONS.index(question)]) for question in few}


async def test_parallel_tool_calls_keep_their_instructions_apart(
    config: RagConfig, store: RagVectorStore, models: Models
) -> None:
    search, *_ = make_tools(config, store, models)
    instructions = [None, "Find an oven", "Retrieve duplicates " * 30]  # the bundled pair hardly listens to them
    calls = [{"query": "What is a typical mistake?", "instruction": one} for one in instructions]
    alone = [scores(await search.acall(**call)) for call in calls]
    together = await asyncio.gather(*(search.acall(**call) for call in calls * 8))
    assert [scores(one) for one in together] == alone * 8
    assert len({tuple(one) for one in alone}) == len(instructions), "the instruction makes no difference"


def scores(output: ToolOutput) -> list[tuple[str, float]]:
    return [(row.id, round(row.score, 5)) for row in output.raw_output.results]


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6
