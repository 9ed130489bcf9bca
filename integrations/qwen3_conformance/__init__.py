"""A conformance suite for LlamaIndex embeddings and node postprocessors, independent of this package's own classes.

Each check is a function of a subject; it returns None, raises `ConformanceError` with what it saw and what it wanted,
or raises `NotApplicableError` where the subject lacks what the check needs. No test framework is imported. With pytest:

    import pytest
    from qwen3_conformance import EMBEDDING_CHECKS, EmbeddingSubject, NotApplicableError

    SUBJECT = EmbeddingSubject(make=lambda: MyEmbedding("my-model"))

    @pytest.mark.parametrize("check", EMBEDDING_CHECKS, ids=lambda check: check.__name__)
    def test_my_embedding_conforms(check):
        try:
            check(SUBJECT)
        except NotApplicableError as reason:
            pytest.skip(str(reason))

A subject's `make` builds a fresh, small, real instance. `make_probed(probe)` builds one that enters `probe` (a context
manager) around each forward of its model, which is how overlapping forwards are seen. `make_cached(store)` builds an
embedding with that cache.
"""

from qwen3_conformance.embedding import EMBEDDING_CHECKS
from qwen3_conformance.outcome import ConformanceError, NotApplicableError
from qwen3_conformance.postprocessor import POSTPROCESSOR_CHECKS
from qwen3_conformance.subjects import EmbeddingSubject, PostprocessorSubject, Probe

__all__ = [
    "EMBEDDING_CHECKS",
    "POSTPROCESSOR_CHECKS",
    "ConformanceError",
    "EmbeddingSubject",
    "NotApplicableError",
    "PostprocessorSubject",
    "Probe",
]
