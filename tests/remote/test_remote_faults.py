"""A server that fails in any way: the right error within its time, and an engine that works afterwards."""

import re
import time

import numpy as np
import pytest
from qwen3_inference import NumericalError
from qwen3_inference.errors import EngineResponseError, EngineUnavailableError, NonFiniteResponseError
from qwen3_inference.remote import RemoteEmbeddingEngine, RemoteRerankEngine
from support.engines import assert_close, embedder, reranker

TEXTS = ["one", "two two", "three three three", "four"]
BOTH = {
    "dies": (EngineUnavailableError, "is not available after 4 attempts: RemoteProtocolError"),
    "hangs": (EngineUnavailableError, "no answer within timeout=2 seconds"),
    "stalls": (EngineUnavailableError, "no answer within timeout=2 seconds"),
    "half a body": (EngineUnavailableError, "peer closed connection without sending complete message body"),
    "503": (EngineUnavailableError, "answers 503"),
    "500": (EngineUnavailableError, "after 4 attempts: .* answers 500"),
    "429": (EngineUnavailableError, "answers 429"),
    "429 for long": (EngineUnavailableError, "answers 429"),
    "html": (EngineResponseError, "text/html that is no JSON: '<html><body>Welcome to nginx"),
    "cut json": (EngineResponseError, "that is no JSON"),
    "broken gzip": (EngineResponseError, "damaged body"),
    "deep": (EngineResponseError, "that is no JSON"),
    "nothing": (EngineResponseError, "that is no JSON"),
    "{}": (EngineResponseError, "has no 'data': {}"),
    "[]": (EngineResponseError, "has no 'data'|has 0 results"),
    "7": (EngineResponseError, "the answer has no 'data': 7"),
    '"text"': (EngineResponseError, "the answer has no 'data': 'text'"),
    "key in an answer": (EngineResponseError, "has no 'data'"),
    "too few": (EngineResponseError, "has 3 results for 4 texts"),
    "too many": (EngineResponseError, "has 5 results for 4 texts"),
    "same index": (EngineResponseError, "indices are not 0 to 3"),
    "nan": (NonFiniteResponseError, "not finite"),
    "infinity": (NonFiniteResponseError, "not finite"),
    "null": (EngineResponseError, "None"),
    "a word": (EngineResponseError, "many|base64"),
    "401": (ValueError, "answers 401.*give the key of this server as api_key"),
    "404": (ValueError, "answers 404.*check base_url .*model='model'"),
    "redirect": (ValueError, "redirects to 'http://127.0.0.1:9/elsewhere', which is not followed"),
}
VECTORS = BOTH | {
    "one narrow": (EngineResponseError, "has 31 numbers, not 32"),
    "wide": (EngineResponseError, "has 33 numbers, not 32"),
    "quarter": (EngineResponseError, "has 8 numbers, not 32"),
    "zeros": (EngineResponseError, "all zeros"),
    "null inside": (EngineResponseError, "None"),
}
SCORES = BOTH | {"logits": (EngineResponseError, "is no probability: .*scores='logit'")}
IN_TIME = 2 + 3  # seconds: the timeout, and what a busy machine adds


@pytest.mark.parametrize("fault", VECTORS)
def test_a_fault_of_an_embedding_server(fault, serve, remote_embedder, embedding_folder):
    server = serve()
    engine = remote_embedder(server, send="tokens", timeout=2)
    expected = embedder(embedding_folder).embed_documents(TEXTS)
    engine.embed_documents(TEXTS[:1])
    error, message = VECTORS[fault]
    started = time.monotonic()
    with server.fault(fault), pytest.raises(error, match=message) as caught:
        engine.embed_documents(TEXTS)
    assert time.monotonic() - started < IN_TIME
    assert error is ValueError or server.url in str(caught.value)
    assert_close(engine.embed_documents(TEXTS), expected, 1e-5)


@pytest.mark.parametrize("fault", VECTORS)
@pytest.mark.parametrize("dialect", ["openai", "tei", "ollama"])
def test_a_fault_at_the_first_use(fault, dialect, serve, remote_embedder, embedding_folder):
    """The width is known from the files beside the tokenizer, so that even the first answer is measured."""
    if fault in ("same index", "quarter") and dialect != "openai":
        pytest.skip("an answer without indices and base64")
    server = serve(dialect if dialect != "openai" else "vllm")
    engine = remote_embedder(server, dialect=dialect, timeout=2)
    started = time.monotonic()
    if fault != "quarter":  # of which the first use takes note: then base64 is not asked for
        with server.fault(fault), pytest.raises(VECTORS[fault][0]):
            engine.embed_documents(TEXTS)
    assert time.monotonic() - started < IN_TIME
    assert_close(engine.embed_documents(TEXTS), embedder(embedding_folder).embed_documents(TEXTS), 1e-5)


@pytest.mark.parametrize("fault", SCORES)
def test_a_fault_of_a_rerank_server(fault, serve, remote_reranker, reranker_folder):
    server = serve()
    engine = remote_reranker(server, timeout=2)
    expected = reranker(reranker_folder).score("How?", TEXTS)
    engine.score("How?", TEXTS[:1])
    error, message = SCORES[fault]
    started = time.monotonic()
    with server.fault(fault), pytest.raises(error, match=message):
        engine.score("How?", TEXTS)
    assert time.monotonic() - started < IN_TIME
    assert_close(engine.score("How?", TEXTS), expected, 2e-5)


@pytest.mark.parametrize("fault", ["dies", "half a body", "503", "500", "429"])
def test_what_passes_is_tried_again(fault, serve, remote_embedder, remote_reranker):
    server = serve()
    engine, judge = remote_embedder(server), remote_reranker(server)
    with server.fault(fault, times=2):
        engine.embed_documents(TEXTS)
    with server.fault(fault, times=2):
        judge.score("How?", TEXTS)


@pytest.mark.parametrize("fault", ["401", "404", "html", "nan", "too few"])
def test_what_stays_is_not_tried_again(fault, serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server, send="tokens")
    engine.embed_documents(TEXTS)
    before = len(server.seen)
    with server.fault(fault), pytest.raises((EngineResponseError, ValueError)):
        engine.embed_documents(TEXTS)
    assert len(server.seen) == before + 1


@pytest.mark.parametrize("fault", ["shuffled", "raw", "gzip", "floats", "refuses base64"])
def test_what_is_right_in_another_form_is_taken(fault, serve, remote_embedder, embedding_folder):
    server = serve()
    with server.fault(fault):
        found = remote_embedder(server).embed_documents(TEXTS)
    assert_close(found, embedder(embedding_folder).embed_documents(TEXTS), 1e-5)


def test_retry_after_is_obeyed(serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server, send="tokens")
    engine.embed_documents(TEXTS)
    started = time.monotonic()
    with server.fault("429", times=1):
        engine.embed_documents(TEXTS)
    assert time.monotonic() - started >= 0.1
    started = time.monotonic()
    with server.fault("429 for long"), pytest.raises(EngineUnavailableError):
        engine.embed_documents(TEXTS)
    assert time.monotonic() - started < 5, "waiting an hour is not within the timeout, so nothing is waited for"


def test_a_non_finite_number_names_the_callers_input(serve, remote_embedder, remote_reranker):
    server = serve()
    engine = remote_embedder(server, send="tokens", batch_size=2, concurrency=1)
    engine.embed_documents(TEXTS)
    with server.fault("nan"), pytest.raises(NumericalError) as caught:
        engine.embed_documents(TEXTS)
    by_length = [2, 1, 0, 3]  # requests hold the longest first, and the last of each is spoilt
    assert caught.value.indices == sorted([by_length[1], by_length[3]])
    assert isinstance(caught.value, EngineResponseError)
    with server.fault("nan"), pytest.raises(NumericalError):
        remote_reranker(server).score("How?", TEXTS)


def test_no_part_of_a_failed_call_is_given(serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server, send="tokens", batch_size=1, concurrency=2)
    done: list[int] = []
    engine.embed_documents(TEXTS)
    with server.fault("html", after=2), pytest.raises(EngineResponseError):
        engine.embed_documents([f"text {index}" for index in range(50)], progress=done.append)
    assert sum(done) <= 4


def test_more_texts_than_a_server_takes_are_divided(serve, remote_embedder, embedding_folder):
    server = serve(limits={"texts": 5})
    engine = remote_embedder(server, send="tokens", batch_size=32)
    texts = [f"text {index}" for index in range(40)]
    assert_close(engine.embed_documents(texts), embedder(embedding_folder).embed_documents(texts), 1e-5)
    before = len(server.seen)
    engine.embed_documents(texts)
    assert len(server.seen) - before <= 11, "what the server takes is remembered"


def test_a_text_too_long_for_the_server_is_named(serve, remote_embedder):
    engine = remote_embedder(serve(limits={"characters": 100}), send="text")
    texts = ["short", "short too", "l" * 190, "last"]
    with pytest.raises(
        ValueError, match=r"document 2 is too long for the server: .*maximum context length.*max_length"
    ):
        engine.embed_documents(texts)


def test_nobody_there():
    engine = RemoteEmbeddingEngine("http://127.0.0.1:9", "other", tokenizer=None, timeout=5)
    with pytest.warns(UserWarning, match="tokenizer"), pytest.raises(EngineUnavailableError, match="ConnectError"):
        engine.embed_queries(["How?"])


def test_a_server_of_another_width_is_another_model(serve, remote_embedder, checkpoint_folder):
    from support.checkpoints import SHAPES

    other = str(checkpoint_folder("embedding", SHAPES[2]))
    with pytest.raises(EngineResponseError, match=r"vectors have 32 numbers, those of the model .* have 48"):
        remote_embedder(serve(), tokenizer=other, send="text").embed_queries(["How?"])


def test_dimensions_over_the_width_are_refused(serve, remote_embedder):
    with pytest.raises(ValueError, match="dimensions=33 must be an integer from 1 to 32"):
        remote_embedder(serve()).embed_queries(["How?"], dimensions=33)


def test_logits_are_taken_where_told(serve, remote_reranker, reranker_folder):
    server = serve("infinity")
    engine = remote_reranker(server, dialect="infinity", prompt="client", scores="logit")
    expected = reranker(reranker_folder).logits("How?", TEXTS)
    with server.fault("logits"):
        found = engine.score("How?", TEXTS)
    assert np.allclose(found, 1 / (1 + np.exp(-(expected * 10 - 1))), atol=1e-3)


def test_a_key_the_server_repeats_is_not_shown(serve, embedding_folder, reranker_folder):
    server, key = serve(), "sk-very-secret-0123456789"
    engines = [
        RemoteEmbeddingEngine(server.url, "model", tokenizer=str(embedding_folder), api_key=key),
        RemoteRerankEngine(
            server.url, "model", dialect="vllm", prompt="tokens", tokenizer=str(reranker_folder), api_key=key
        ),
    ]
    for engine in engines:
        with server.fault("401"), pytest.raises(ValueError, match=re.escape("no (Bearer **********)")):
            engine.score("q", ["d"]) if isinstance(engine, RemoteRerankEngine) else engine.embed_queries(["q"])
