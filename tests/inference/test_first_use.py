"""Models that are used for the first time at once, from threads and tasks: all load, all answer right."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from support.engines import PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker
from support.seeds import examples

ROUNDS = examples(40)


def test_mixed_first_use_from_threads_and_tasks(embedding_folder, reranker_folder):
    vector = embedder(embedding_folder).embed_documents(["bread"])
    score = reranker(reranker_folder).score("bread", ["dough"])

    def embed_here():
        assert_close(embedder(embedding_folder).embed_documents(["bread"]), vector, VECTOR_TOLERANCE)

    def rerank_here():
        assert_close(reranker(reranker_folder).score("bread", ["dough"]), score, PROBABILITY_TOLERANCE)

    async def in_tasks():
        shared = embedder(embedding_folder)
        vectors = [
            shared.aembed_documents(["bread"]),
            embedder(embedding_folder).aembed_queries(["bread"], instruction=""),
        ]
        *found, scores = await asyncio.gather(*vectors, reranker(reranker_folder).ascore("bread", ["dough"]))
        for row in found:
            assert_close(row, vector, VECTOR_TOLERANCE)
        assert_close(scores, score, PROBABILITY_TOLERANCE)

    with ThreadPoolExecutor(6) as pool:
        for _ in range(ROUNDS):
            calls = [embed_here, rerank_here, embed_here, rerank_here, partial(asyncio.run, in_tasks())]
            for call in [pool.submit(call) for call in calls]:
                call.result(timeout=60)


def test_a_load_that_fails_leaves_others_alone(embedding_folder, reranker_folder, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    broken = embedder(embedding_folder)
    object.__setattr__(broken.settings, "model", str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        failing = [pool.submit(broken.load) for _ in range(4)]
        working = [pool.submit(reranker(reranker_folder).load) for _ in range(4)]
        assert all("has no config.json" in str(call.exception()) for call in failing)
        assert all(call.exception() is None for call in working)
