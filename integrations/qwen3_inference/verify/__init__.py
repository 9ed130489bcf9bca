"""Whether an endpoint computes what Qwen3-Embedding and Qwen3-Reranker compute, and in words what is wrong where not.

>>> from qwen3_inference import LocalSettings, TorchEmbeddingEngine
>>> from qwen3_inference.verify import Report, vectors_of, verify_embedding
>>> engine = TorchEmbeddingEngine(LocalSettings("tiny", "embedding"))
>>> Report(embedding=verify_embedding(engine, expected=vectors_of("tiny"), long_tokens=512)).verdict
'right'
"""

from qwen3_inference.verify.embedding import verify_embedding
from qwen3_inference.verify.expected import ComputedScores, ComputedVectors, ExpectedScores, ExpectedVectors
from qwen3_inference.verify.expected_file import read_expected, write_expected
from qwen3_inference.verify.reference import EmbeddingReference, RerankReference
from qwen3_inference.verify.rerank import verify_rerank
from qwen3_inference.verify.results import EMBEDDING_CHECKS, RERANK_CHECKS, Check, Report

__all__ = [
    "EMBEDDING_CHECKS",
    "RERANK_CHECKS",
    "Check",
    "ExpectedScores",
    "ExpectedVectors",
    "Report",
    "read_expected",
    "scores_of",
    "vectors_of",
    "verify_embedding",
    "verify_rerank",
    "write_expected",
]


def vectors_of(model: str, *, device: str | None = None, dtype: str = "auto") -> ComputedVectors:
    """What an embedder's weights give: `model` is a folder, a hub name or "tiny".

    `dtype`: "auto" is float32 up to the 0.6B, and what the hardware has for larger ones.

    Raises:
        CheckpointError: not an embedder that can be run here.
        HubUnavailableError: it is in no cache, and the hub cannot be reached.
    """
    return ComputedVectors(EmbeddingReference(model, device=device, dtype=dtype))


def scores_of(model: str, *, device: str | None = None, dtype: str = "auto") -> ComputedScores:
    """What a reranker's weights give; arguments and errors as of `vectors_of`."""
    return ComputedScores(RerankReference(model, device=device, dtype=dtype))
