"""Documents are cut as the authors cut them, queries never; NaN and float16 overflow are errors."""

import warnings

import numpy as np
import pytest
import torch
from qwen3_inference import NumericalError
from qwen3_inference.tokenization import PromptTokenizer
from support import reference
from support.checkpoints import make_checkpoint
from support.engines import PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker

LONG = "".join(f"vector {i} " for i in range(400))
PROMPT_AND_QUERY = 400  # over the tokens of the small tokenizer's prompt with a short query


def test_a_long_document_is_cut_as_the_reference_cuts_it_with_one_warning(embedding_folder):
    engine = embedder(embedding_folder, max_length=100)
    [ids] = PromptTokenizer(embedding_folder).encode([LONG])
    message = rf"2 of 3 documents were cut to fit max_length=100 tokens \(the longest has {len(ids)}, 99 fit\)"
    with pytest.warns(UserWarning, match=message) as caught:
        vectors = engine.embed_documents([LONG, "short", LONG[:700]])
    assert len(caught) == 1
    assert_close(vectors, reference.embed(embedding_folder, [LONG, "short", LONG[:700]], 100), VECTOR_TOLERANCE)


def test_a_document_of_exactly_the_length_is_not_cut(embedding_folder):
    [ids] = PromptTokenizer(embedding_folder).encode([LONG])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embedder(embedding_folder, max_length=len(ids) + 1).embed_documents([LONG])
    with pytest.warns(UserWarning, match="1 of 1 documents"):
        embedder(embedding_folder, max_length=len(ids)).embed_documents([LONG])


def test_a_passage_is_cut_as_the_reference_cuts_it_with_one_warning(reranker_folder):
    engine = reranker(reranker_folder, max_length=PROMPT_AND_QUERY)
    with pytest.warns(UserWarning, match=r"2 of 3 documents were cut to fit max_length=400 tokens") as caught:
        scores = engine.score("vectors?", [LONG, "short", LONG[:3000]])
    assert len(caught) == 1
    expected = reference.score(reranker_folder, "vectors?", [LONG, "short", LONG[:3000]], max_length=PROMPT_AND_QUERY)
    assert_close(scores, expected, PROBABILITY_TOLERANCE)


def test_an_embedding_query_over_the_length_is_an_error_with_both_lengths(embedding_folder):
    whole = PromptTokenizer(embedding_folder).encode([f"Instruct: {reference.TASK}\nQuery:{LONG}"])[0]
    message = rf"query 1 takes {len(whole) + 1} tokens with its instruction, over max_length=200"
    with pytest.raises(ValueError, match=message):
        embedder(embedding_folder, max_length=200).embed_queries(["short", LONG])


def test_a_rerank_query_without_room_for_a_document_is_an_error_with_both_lengths(reranker_folder):
    with pytest.raises(ValueError, match=r"the query takes \d+ tokens .* no room for a document in max_length=400"):
        reranker(reranker_folder, max_length=PROMPT_AND_QUERY).score(LONG, ["a"])


def test_the_query_check_does_not_wait_for_documents(reranker_folder):
    with pytest.raises(ValueError, match="a query is never cut"):
        reranker(reranker_folder, max_length=PROMPT_AND_QUERY).score(LONG, [])


def test_the_default_length_gives_way_to_a_smaller_model_and_an_explicit_one_does_not(embedding_folder):
    with pytest.warns(UserWarning, match="max_length=4096"):  # this checkpoint's positions, under the default 8192
        embedder(embedding_folder).embed_documents([LONG * 4])
    with pytest.raises(ValueError, match="max_length=5000 is over the 4096 positions"):
        embedder(embedding_folder, max_length=5000).load()


@pytest.mark.parametrize("dimensions", [0, -1, 33, True, 1.5, "16"])
def test_dimensions_out_of_range_name_the_range(embedding_folder, dimensions):
    with pytest.raises(ValueError, match=rf"dimensions={dimensions!r} must be an integer from 1 to 32"):
        embedder(embedding_folder).embed_documents(["a"], dimensions=dimensions)


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    """Checkpoints that float32 computes and float16 cannot: activations over 65504."""
    folders = {}
    for kind in ("embedding", "reranker"):
        folders[kind] = make_checkpoint(tmp_path_factory.mktemp(f"overflow-{kind}"), kind, initializer_range=40.0)
    return folders


def test_float16_overflow_is_an_error_that_names_the_inputs_and_the_remedy(overflowing):
    assert np.isfinite(embedder(overflowing["embedding"]).embed_documents(["a b"])).all()
    with pytest.raises(NumericalError, match=r"vector of input 0, 1 is not finite.*use dtype='bfloat16' or 'float32'"):
        embedder(overflowing["embedding"], dtype="float16").embed_documents(["a b", "c"])
    assert np.isfinite(reranker(overflowing["reranker"]).score("q", ["a b"])).all()
    with pytest.raises(NumericalError, match="score of input 0, 1 is not finite") as caught:
        reranker(overflowing["reranker"], dtype="float16").score("q", ["a b", "c"])
    assert caught.value.indices == [0, 1]


def test_only_the_offending_input_is_named(tmp_path):
    folder = make_checkpoint(tmp_path / "nan", "embedding")
    engine = embedder(folder)
    engine.load()
    token = PromptTokenizer(folder).encode(["ü"])[0][0]
    engine._model.decoder.embedding[token] = torch.nan  # weights that are broken for one token alone
    with pytest.raises(NumericalError) as caught:
        engine.embed_documents(["a", "long text without it", "ü", "b"])
    assert caught.value.indices == [2]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near_the_reference(embedding_folder, reranker_folder, dtype):
    texts = ["hello world", "", "milvus stores vectors"]
    vectors = embedder(embedding_folder, dtype=dtype).embed_documents(texts)
    cosines = (vectors * reference.embed(embedding_folder, texts)).sum(axis=1)
    assert (cosines > 0.99).all()
    scores = reranker(reranker_folder, dtype=dtype).score("q", texts)
    assert_close(scores, reference.score(reranker_folder, "q", texts), 0.1)


@pytest.mark.parametrize("texts", ["abc", {"a": 1}, iter(["a"]), None])
def test_an_engine_takes_lists_of_texts_only(embedding_folder, reranker_folder, texts):
    for call in (
        embedder(embedding_folder).embed_documents,
        embedder(embedding_folder).embed_queries,
        lambda texts: reranker(reranker_folder).score("q", texts),
    ):
        with pytest.raises(ValueError, match="where a list of strings belongs"):
            call(texts)
