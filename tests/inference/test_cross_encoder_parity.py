"""Scores equal those of sentence-transformers' CrossEncoder with the chat template that the hub's repository ships."""

import shutil

import pytest
from sentence_transformers import CrossEncoder
from support.chat_template import CHAT_TEMPLATE
from support.checkpoints import SHAPES
from support.engines import PROBABILITY_TOLERANCE, assert_close, reranker
from support.texts import EDGE_CASES, random_texts

DOCUMENTS = ["hello world", *EDGE_CASES, "milvus stores vectors " * 40, *random_texts(10, seed=5)]


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]], ids=lambda shape: shape.name)
@pytest.mark.parametrize("instruction", [None, "Find duplicates"])
def test_probabilities_equal_those_of_cross_encoder(checkpoint_folder, tmp_path, shape, instruction):
    folder = shutil.copytree(checkpoint_folder("reranker", shape), tmp_path / "with-template")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    stock = CrossEncoder(str(folder), device="cpu")
    # Without a prompt it takes the template's default instruction; with one, the prompt is the "system" message.
    # These files name no activation, and its default is the sigmoid: probabilities.
    theirs = stock.predict([("a query", text) for text in DOCUMENTS], prompt=instruction)
    ours = reranker(folder).score("a query", DOCUMENTS, instruction=instruction)
    assert_close(ours, theirs, PROBABILITY_TOLERANCE)
