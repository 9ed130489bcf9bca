"""Vectors and scores through the official tokenizers, whose merges the small test tokenizer does not have."""

import shutil

import pytest
from support import reference
from support.checkpoints import SHAPES, make_checkpoint
from support.engines import PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker
from support.texts import EDGE_CASES, random_texts

TEXTS = [*EDGE_CASES, ": a", "::", ':"quoted"', "：全角", "'s", "   indented", "\r\n", *random_texts(30, seed=6)]


@pytest.fixture(scope="module")
def folders(real_tokenizers, tmp_path_factory):
    made = {}
    for kind, tokenizer in real_tokenizers.items():
        folder = make_checkpoint(tmp_path_factory.mktemp(kind) / "model", kind, SHAPES[0], vocab_size=151669)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer / name, folder / name)
        made[kind] = folder
    return made


def test_vectors_equal_the_reference(folders):
    engine = embedder(folders["embedding"], max_batch_tokens=100)
    assert_close(engine.embed_documents(TEXTS), reference.embed(folders["embedding"], TEXTS), VECTOR_TOLERANCE)
    assert_close(engine.embed_queries(TEXTS), reference.embed_queries(folders["embedding"], TEXTS), VECTOR_TOLERANCE)


@pytest.mark.parametrize("query", ["How is data stored?", "", "trailing \n"], ids=repr)
def test_probabilities_equal_the_reference(folders, query):
    ours = reranker(folders["reranker"], max_batch_tokens=200).score(query, TEXTS)
    assert_close(ours, reference.score(folders["reranker"], query, TEXTS), PROBABILITY_TOLERANCE)
