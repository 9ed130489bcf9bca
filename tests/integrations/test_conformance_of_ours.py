"""Our pair passes every check of the conformance suite, in several configurations."""

import pytest
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_conformance import EMBEDDING_CHECKS, POSTPROCESSOR_CHECKS, EmbeddingSubject, PostprocessorSubject
from support.engines import FLOAT32_ON_CPU
from support.probes import probed_embedder, probed_reranker

EMBEDDING_SETTINGS = {
    "plain": {},
    "configured": {"dimensions": 8, "query_instruction": "Find it", "embed_batch_size": 3, "num_workers": 4},
}
RERANK_SETTINGS = {
    "plain": {"top_n": 2048},
    "keeping-the-retrieval-score": {"top_n": 2048, "keep_retrieval_score": True, "instruction": "Find duplicates"},
}


@pytest.mark.parametrize("settings", EMBEDDING_SETTINGS.values(), ids=EMBEDDING_SETTINGS)
@pytest.mark.parametrize("check", EMBEDDING_CHECKS, ids=lambda check: check.__name__)
def test_qwen3_embedding_conforms(check, settings, embedding_folder):
    common = settings | {"model_name": str(embedding_folder)} | FLOAT32_ON_CPU
    check(
        EmbeddingSubject(
            make=lambda: Qwen3Embedding(**common),
            make_probed=lambda probe: Qwen3Embedding(**settings, engine=probed_embedder(embedding_folder, probe)),
            make_cached=lambda store: Qwen3Embedding(**common, embeddings_cache=store),
        )
    )


@pytest.mark.parametrize("settings", RERANK_SETTINGS.values(), ids=RERANK_SETTINGS)
@pytest.mark.parametrize("check", POSTPROCESSOR_CHECKS, ids=lambda check: check.__name__)
def test_qwen3_rerank_conforms(check, settings, reranker_folder):
    common = settings | {"model": str(reranker_folder)} | FLOAT32_ON_CPU
    check(
        PostprocessorSubject(
            make=lambda: Qwen3Rerank(**common),
            make_probed=lambda probe: Qwen3Rerank(**settings, engine=probed_reranker(reranker_folder, probe)),
        )
    )
