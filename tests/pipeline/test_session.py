"""`Session`: the whole way in one object, lazily opened, for any number of threads and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from llama_index.core.schema import NodeWithScore, TextNode
from qwen3_rag import (
    ConfigError,
    Models,
    NoAnswerError,
    RagConfig,
    Session,
    UnavailableError,
    make_document,
    open_store,
)
from qwen3_rag.store.connect import release_lite
from support.hashing import IDENTITY, HashingEmbedding
from support.openai_server import OpenAIServer, Reply

from .conftest import write

DOCS: dict[str, str | bytes] = {
    "tea.md": "# Tea\n\nSteep green tea at 80 degrees.\n",
    "pets.txt": "Cats sleep. Dogs bark.",
    "bread.md": "# Bread\n\nYeast makes the dough rise.\n",
}
MODELS = Models(HashingEmbedding(), IDENTITY, None)


@pytest.fixture
def config(lite: str) -> RagConfig:
    return RagConfig(uri=lite, embed_model="tiny", device="cpu", top_k=3, top_n=2)


@pytest.fixture
def session(config: RagConfig) -> Iterator[Session]:
    write(Path("docs"), DOCS)
    with Session(config, models=MODELS) as session:
        session.ingest(["docs"])
        yield session


def test_the_whole_way_with_real_models(lite: str, pair: Path) -> None:
    write(Path("docs"), DOCS)
    with Session(RagConfig(uri=lite, embed_model=str(pair / "embedding"), device="cpu", top_k=3)) as session:
        assert session.ingest(["docs"]).written == 3
        assert session.ingest(["docs"]).unchanged == 3
        result = session.search("green tea?", top_n=1)
        assert (len(result.dense), len(result.reranked or [])) == (3, 1)
        assert session.search("green tea?", rerank=False).reranked is None
        assert session.sources("docs/t") == {"docs/tea.md": 1}
    with pytest.raises(ConfigError, match="closed"):
        session.search("green tea?")


def test_nothing_is_made_by_asking(config: RagConfig) -> None:
    with Session(config, models=MODELS) as session:
        for call in (session.search, session.ask, session.sources):
            with pytest.raises(UnavailableError, match="qwen3-rag ingest"):
                call("anything")
        with pytest.raises(UnavailableError):
            session.open()
    assert not Path(config.uri).exists()


def test_a_missing_path_drops_nothing(session: Session) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        session.ingest(["nowhere"], overwrite=True)
    assert session.store.count() == 3
    assert session.ingest(["docs/tea.md"], overwrite=True).written == 1
    assert [row.source for row in session.search("tea").dense] == ["docs/tea.md"]


def test_the_first_stage_takes_as_many_as_the_second_is_to_keep(session: Session) -> None:
    assert len(session.search("tea", top_k=1, top_n=3).dense) == 3
    found = session.retrieve("tea", top_k=3, top_n=1)
    assert (len(found.candidates), len(found.best)) == (3, 1)


@pytest.mark.parametrize("filters", [{"source": "docs/pets.txt"}, ["source=docs/pets.txt"], "source=docs/pets.txt"])
def test_filters_in_each_form(session: Session, filters: object) -> None:
    assert [row.source for row in session.search("tea", filters=filters).dense] == ["docs/pets.txt"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"filters": {"größe": 1}}, "'größe'"),
        ({"filters": ["größe=1"]}, "größe=1"),
        ({"top_n": 0}, "top_n=0 must be from 1"),
        ({"top_k": 20_000}, "top_k=20000 must be from 1 to 16384"),
    ],
)
def test_a_wish_out_of_its_bounds_is_named(session: Session, wishes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        session.search("tea", **wishes)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="topk"):
        session.search("tea", topk=3)  # type: ignore[call-arg]


def test_many_threads_open_once_and_each_gets_its_own_answer(config: RagConfig, session: Session) -> None:
    session.close()
    questions = {"green tea": "docs/tea.md", "dogs bark": "docs/pets.txt", "yeast dough": "docs/bread.md"}
    with Session(config, models=MODELS) as shared, ThreadPoolExecutor(8) as threads:
        asked = list(questions) * 8
        found = list(threads.map(lambda question: shared.search(question, top_n=1), asked))
        stores = list(threads.map(lambda _: shared.store, range(8)))
    assert [one.best[0].source for one in found] == [questions[one] for one in asked]
    assert len(set(map(id, stores))) == 1


def test_tasks_agree_with_calls(session: Session) -> None:
    async def gathered() -> list[str]:
        found = await asyncio.gather(*(session.asearch("dogs bark") for _ in range(4)))
        return [one.best[0].source for one in found]

    for _ in range(2):  # on two event loops
        assert asyncio.run(gathered()) == [session.search("dogs bark").best[0].source] * 4


def test_a_store_that_was_given_stays_open(config: RagConfig) -> None:
    store = open_store(config, IDENTITY, create=True)
    with Session(config, store, MODELS) as session:
        assert session.ingest_documents([make_document("Tea is green.", "tea.md", "text")]).written == 1
        with pytest.raises(ConfigError, match="overwrite"):
            session.open(overwrite=True)
    assert store.count() == 1
    store.close()
    release_lite(config.uri)


def test_an_answer_whole_and_in_pieces(session: Session, config: RagConfig) -> None:
    with OpenAIServer([Reply("At 80 degrees [1].")] * 4) as server:
        asking = Session(config.model_copy(update={"llm_base_url": server.url}), session.store, MODELS)
        pieces: list[str] = []
        answers = [
            asking.ask("green tea"),
            asking.ask("green tea", on_token=pieces.append),
            asyncio.run(asking.aask("green tea")),
            asyncio.run(asking.aask("green tea", on_token=pieces.append)),
        ]
    assert {one.answer for one in answers} == {"At 80 degrees [1]."}
    assert "".join(pieces) == "At 80 degrees [1]." * 2
    assert [one.number for one in answers[0].sources] == [1, 2]
    assert answers[0].sources[0].source == answers[0].cited[0].source == "docs/tea.md"


def test_no_answer_is_an_error_that_holds_the_passages(session: Session) -> None:
    with pytest.raises(NoAnswerError, match="OPENAI_API_KEY") as caught:
        session.ask("green tea")
    assert caught.value.result.answer is None
    assert caught.value.result.best[0].source == "docs/tea.md"
    with pytest.raises(NoAnswerError, match="no passage"):
        asyncio.run(session.aask("green tea", filters={"source": "no such"}))


def test_a_reranker_of_ones_own_is_cut_to_what_is_wanted(session: Session, config: RagConfig) -> None:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import QueryBundle

    class Reversed(BaseNodePostprocessor):
        def _postprocess_nodes(
            self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
        ) -> list[NodeWithScore]:
            return nodes[::-1]

    own = Session(config, session.store, Models(HashingEmbedding(), IDENTITY, Reversed()))
    found = own.retrieve("green tea", top_n=1)
    assert [hit.node_id for hit in found.best] == [found.candidates[-1].node_id]
    assert isinstance(found.best[0].node, TextNode)
