"""Query engines with both stages inside: at once, streamed and awaited, on Milvus Lite and on its server."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.llms.openai import OpenAI
from packaging.version import Version
from qwen3_rag import Models, RagConfig, RagVectorStore, make_index, make_query_engine

QUESTION = "What does an embedded database lock while it is open?"
ANSWER = "An embedded database locks its folder while it is open."
CORE_GATHERS = Version(version("llama-index-core")) < Version("0.14.25")
"""Core hands out what it streams as one piece."""
MakeEngine = Callable[..., BaseQueryEngine]


@pytest.fixture
def index(store: RagVectorStore, models: Models) -> VectorStoreIndex:
    return make_index(store, models.embed)


@pytest.fixture(params=["as_query_engine", "from_args", "make_query_engine"])
def make_engine(
    request: pytest.FixtureRequest,
    config: RagConfig,
    store: RagVectorStore,
    models: Models,
    index: VectorStoreIndex,
    llm: OpenAI,
) -> MakeEngine:
    def make(streaming: bool = False) -> BaseQueryEngine:
        if request.param == "make_query_engine":
            return make_query_engine(config, store, models, llm=llm, streaming=streaming)
        stages = {"llm": llm, "node_postprocessors": [models.rerank], "streaming": streaming}
        if request.param == "as_query_engine":
            return index.as_query_engine(similarity_top_k=10, **stages)
        return RetrieverQueryEngine.from_args(index.as_retriever(similarity_top_k=10), **stages)

    return make


def test_answers_when_called(make_engine: MakeEngine) -> None:
    response = make_engine().query(QUESTION)
    assert str(response).startswith(ANSWER)
    assert response.source_nodes[0].metadata["source"] == "knowledge/milvus.md"


def test_streams_what_it_would_answer(make_engine: MakeEngine) -> None:
    pieces = list(make_engine(streaming=True).query(QUESTION).response_gen)
    assert len(pieces) > 3 or CORE_GATHERS
    assert "".join(pieces) == str(make_engine().query(QUESTION))


async def test_awaited_it_answers_and_streams_the_same(make_engine: MakeEngine) -> None:
    plain = str(await make_engine().aquery(QUESTION))
    streamed = await make_engine(streaming=True).aquery(QUESTION)
    assert plain.startswith(ANSWER)
    assert "".join([piece async for piece in streamed.async_response_gen()]) == plain


def test_one_engine_serves_one_event_loop_after_another(make_engine: MakeEngine) -> None:
    engine = make_engine()
    answers = [str(asyncio.run(_of(engine.aquery(QUESTION)))) for _ in range(3)]
    assert len({str(engine.query(QUESTION)), *answers}) == 1


async def test_called_inside_a_running_loop_it_can_still_be_awaited(make_engine: MakeEngine) -> None:
    engine = make_engine()
    assert str(engine.query(QUESTION)) == str(await engine.aquery(QUESTION)) == str(engine.query(QUESTION))


async def test_fusion_called_inside_a_running_loop_then_awaited(
    index: VectorStoreIndex, models: Models, llm: OpenAI
) -> None:
    """The sync call runs its queries on a loop of its own; a client bound to that loop would fail from then on."""
    fusion = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=5)], llm=llm, num_queries=3, use_async=True, similarity_top_k=5
    )
    called = [fusion.retrieve(QUESTION) for _ in range(2)]
    awaited = [await fusion.aretrieve(QUESTION) for _ in range(2)]
    again = fusion.retrieve(QUESTION)
    ids = {tuple(hit.node_id for hit in found) for found in (*called, *awaited, again)}
    assert len(ids) == 1
    engine = RetrieverQueryEngine.from_args(fusion, llm=llm, node_postprocessors=[models.rerank])
    assert str(engine.query(QUESTION)) == str(await engine.aquery(QUESTION)) == ANSWER


async def test_citations_point_at_the_passage(index: VectorStoreIndex, models: Models, llm: OpenAI) -> None:
    engine = CitationQueryEngine.from_args(
        index,
        llm=llm,
        retriever=index.as_retriever(similarity_top_k=10),
        node_postprocessors=[models.rerank],
        citation_chunk_size=512,
    )
    for response in (engine.query(QUESTION), await engine.aquery(QUESTION)):
        assert str(response).startswith(ANSWER)
        number = int(str(response)[-2])
        assert ANSWER in response.source_nodes[number - 1].text
        assert response.source_nodes[number - 1].metadata["source"] == "knowledge/milvus.md"


@pytest.mark.parametrize("mode", [ChatMode.CONTEXT, ChatMode.CONDENSE_PLUS_CONTEXT])
async def test_a_conversation_sync_async_and_streamed(
    mode: ChatMode, index: VectorStoreIndex, models: Models, llm: OpenAI
) -> None:
    chat = index.as_chat_engine(chat_mode=mode, llm=llm, similarity_top_k=10, node_postprocessors=[models.rerank])
    assert str(chat.chat(QUESTION)).startswith(ANSWER)
    follow_up = "Is the database locked while it is open?"
    answers = [str(await chat.achat(follow_up)), "".join(chat.stream_chat(follow_up).response_gen)]
    streamed = await chat.astream_chat(follow_up)
    answers.append("".join([piece async for piece in streamed.async_response_gen()]))
    assert all(answer.startswith(ANSWER) for answer in answers), answers


async def _of(waiting: Awaitable[Any]) -> Any:
    return await waiting
