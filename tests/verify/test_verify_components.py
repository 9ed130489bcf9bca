"""Any class with LlamaIndex's methods can be verified, and what its client does to texts is seen."""

import numpy as np
import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference import golden
from qwen3_inference.prompts import DEFAULT_INSTRUCTION, query_text
from qwen3_inference.remote import RemoteEmbeddingEngine
from qwen3_inference.verify import Report, verify_embedding, verify_rerank
from qwen3_inference.verify.expected import ComputedScores
from qwen3_inference.verify.reference import RerankReference
from support import wrong_answers
from support.engines import embedder, reranker
from support.fault_server import FaultServer

from .conftest import wrong_checks

QUERIES = {
    "prompt never": lambda query: query,
    "prompt twice": lambda query: query_text(query_text(query, DEFAULT_INSTRUCTION), DEFAULT_INSTRUCTION),
    "prompt with a space": lambda query: query_text(f" {query}", DEFAULT_INSTRUCTION),
    "newline of the prompt": lambda query: query_text(query, DEFAULT_INSTRUCTION).replace("\n", " "),
    "the prompt of E5 models": lambda query: f"query: {query}",
    "": lambda query: query_text(query, DEFAULT_INSTRUCTION),
}


REWRITTEN = {
    "newline to blank": "newlines are replaced by blanks",
    "stripped": "blanks around a text are cut off",
    "collapsed": "runs of blanks become one",
    "lower case": "lower case",
}


class Client(BaseEmbedding):
    """Texts changed by `rewrites` to a server with the fault `served`, queries by `written`."""

    written: str = ""
    rewrites: str = ""
    served: str = ""
    longest: int = 10_000
    _folder: object = PrivateAttr()

    def __init__(self, folder, **fields) -> None:
        super().__init__(**fields)
        self._folder = folder

    def _get_text_embedding(self, text):
        if len(text) > self.longest:
            raise BufferError("too much")
        text = wrong_answers.REWRITES.get(self.rewrites, str)(text)
        ids = wrong_answers.embedded_ids(self._folder, text, self.served)
        return wrong_answers.pooled(self._folder, ids, self.served).tolist()

    def _get_query_embedding(self, query):
        return self._get_text_embedding(QUERIES[self.written](query))

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


class Judge(BaseNodePostprocessor):
    """A prompt as it is written by `wrong`, and the best nodes alone."""

    wrong: str = ""
    top_n: int = 2
    _folder: object = PrivateAttr()

    def __init__(self, folder, **fields) -> None:
        super().__init__(**fields)
        self._folder = folder

    def _postprocess_nodes(self, nodes, query_bundle=None):
        for one in nodes:
            ids = wrong_answers.prompt_ids(
                self._folder, query_bundle.query_str, one.node.get_content(), DEFAULT_INSTRUCTION, self.wrong
            )
            one.score = wrong_answers.by_ids(self._folder, ids, self.wrong)
        return sorted(nodes, key=lambda one: -one.score)[: self.top_n]


def by_name(checks):
    return {one.check: one for one in checks}


@pytest.mark.parametrize("written", QUERIES)
def test_the_prompt_of_a_client(written, embedding_folder, expected_vectors):
    client = Client(embedding_folder, written=written)
    found = wrong_checks(
        by_name(verify_embedding(client, expected=expected_vectors(embedding_folder), long_tokens=100))
    )
    if written:
        assert written in found.pop("prompt")
    assert found == {}


@pytest.mark.parametrize("written", QUERIES)
def test_the_prompt_of_a_client_is_seen_without_weights(written, embedding_folder):
    """A model's own prompt may be another; of an official name it may not."""
    found = by_name(verify_embedding(Client(embedding_folder, written=written), truncation=False))["prompt"]
    assert (found.verdict, written in found.found) == ("unknown" if written else "ok", True)
    official = Client(embedding_folder, written=written, model_name=golden.EMBEDDER)
    found = by_name(verify_embedding(official, truncation=False))["prompt"]
    assert (found.verdict, written in found.found) == ("wrong" if written else "ok", True)


def test_what_another_client_raises(embedding_folder):
    found = by_name(verify_embedding(Client(embedding_folder, longest=500), long_tokens=600))["truncation"]
    assert found.verdict == "ok"
    assert "refused, not cut: Client raises BufferError" in found.found
    with pytest.raises(ValueError, match="Client raises BufferError: too much"):
        verify_embedding(Client(embedding_folder, longest=3))
    with pytest.raises(ValueError, match="Judge raises OSError"):
        verify_rerank(Judge(None))


def test_a_client_that_rewrites_newlines_is_seen_without_weights(embedding_folder):
    client = Client(embedding_folder, rewrites="newline to blank")
    assert set(wrong_checks(by_name(verify_embedding(client, long_tokens=100)))) == {"newlines"}


@pytest.mark.parametrize("rewrites", ["newline to blank", "stripped", "collapsed", "lower case"])
@pytest.mark.parametrize("served", ["mean", "no end", "end twice"])
def test_a_fault_of_the_client_beside_one_of_the_server(rewrites, served, embedding_folder, expected_vectors):
    client = Client(embedding_folder, rewrites=rewrites, served=served, written="prompt never")
    found = wrong_checks(by_name(verify_embedding(client, expected=expected_vectors(embedding_folder), long_tokens=50)))
    assert set(found) == {"pooling" if served == "mean" else "eos", "newlines", "prompt"}, found
    assert REWRITTEN[rewrites] in found["newlines"]
    assert "prompt never" in found["prompt"]


@pytest.mark.parametrize("wrong", ["", "twice", "missing", "one newline", "swapped"])
def test_a_postprocessor_that_keeps_few_nodes(wrong, reranker_folder, expected_scores):
    found = by_name(
        verify_rerank(Judge(reranker_folder, wrong=wrong), expected=expected_scores(reranker_folder), long_tokens=400)
    )
    expected = {"": set(), "swapped": {"labels"}}
    assert set(wrong_checks(found)) == expected.get(wrong, {"template"})


def test_our_own_classes_and_engines_are_right(embedding_folder, reranker_folder, expected_vectors, expected_scores):
    with FaultServer(embedder=embedding_folder) as server:
        engine = RemoteEmbeddingEngine(server.url, "model", tokenizer=str(embedding_folder))
        for model in (
            embedder(embedding_folder),
            Qwen3Embedding(engine=embedder(embedding_folder)),
            Qwen3Embedding(engine=engine),
        ):
            found = verify_embedding(model, expected=expected_vectors(embedding_folder), long_tokens=300)
            assert Report(embedding=found).verdict == "right", found
    for model in (reranker(reranker_folder), Qwen3Rerank(engine=reranker(reranker_folder), top_n=2)):
        found = verify_rerank(model, expected=expected_scores(reranker_folder), long_tokens=400)
        assert Report(rerank=found).verdict == "right", found


def test_what_cannot_be_verified():
    with pytest.raises(TypeError, match="cannot be verified as an embedder"):
        verify_embedding("model")
    with pytest.raises(TypeError, match="cannot be verified as a reranker"):
        verify_rerank(object())


def test_a_head_of_large_logits_has_probabilities(reranker_folder):
    reference = RerankReference(str(reranker_folder), dtype="float32")
    reference._row = reference._row * 1e6
    for name, found in ComputedScores(reference).prompts.items():
        assert np.isfinite(found).all(), name
        assert ((found >= 0) & (found <= 1)).all(), name
