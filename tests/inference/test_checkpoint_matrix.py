"""What users bring, as embedder and as reranker: equal to sentence-transformers and transformers, or refused."""

from pathlib import Path

import pytest
import torch
from qwen3_inference import CheckpointError, LocalSettings, TorchEmbeddingEngine, TorchRerankEngine
from sentence_transformers import SentenceTransformer
from support import reference
from support.checkpoints import SHAPES, make_checkpoint
from support.engines import PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker
from support.variants import (
    beside,
    classifier,
    config,
    copy,
    dense,
    few_embeddings,
    in_place_of,
    prompts,
    renamed,
    sharded,
    weights,
    with_words,
    without,
    without_modules,
)

QUERIES = ["What is MRL?", "", "日本語 中文", "Where is the ACME-X200 made?"]
DOCUMENTS = ["The ACME-X200 is made in Zürich.", "", "hello world " * 30, "русский\n\ncafé", "ACME-X200ACME-X200 x"]
LEFT_BUFFER = beside("0.mlp.up_proj.weight", "0.self_attn.rotary_emb.inv_freq")

EQUAL_EMBEDDERS = {
    "official layout": None,
    "sharded": sharded,
    "names of a causal model": renamed("model."),
    "a head left over": beside("embed_tokens", "lm_head"),
    "buffers left over": LEFT_BUFFER,
    "own prompts": prompts(query="Query: ", document="Document: "),
    "own instruction": prompts(query="Instruct: Find a claim\nQuery:", document=""),
    "prompts with control tokens": prompts(query="<|im_start|>query\n", document="<|im_start|>passage<|im_end|>"),
    "no prompts": prompts(),
    "added words": with_words,
    "dense": dense(out=24),
    "wider dense without activation": dense(out=40, activation=torch.nn.Identity),
    "dense with residual": dense(out=16, activation=torch.nn.GELU, residual=True),
}
EQUAL_RERANKERS = {
    "official layout": None,
    "sharded": sharded,
    "names of a bare model": renamed(""),
    "buffers left over": LEFT_BUFFER,
    "another head than the tied one": weights(
        lambda name, rows: {name: rows} | ({"lm_head.weight": rows.flip(0)} if "embed_tokens" in name else {})
    ),
    "added words": with_words,
}
LAYER = r"(model\.)?layers\.0\."
REFUSED = {
    "names of a wrapper": (renamed("module."), r"lacks weights .*embed_tokens\.weight.*module\.embed_tokens.*wrapped"),
    "names of peft": (renamed("base_model.model."), r"lacks weights .*embed_tokens\.weight.*merge the adapter"),
    "a tensor missing": (without("0.input_layernorm.weight"), rf"that are needed: {LAYER}input_layernorm\.weight\."),
    "a layer missing": (without("layers.1.mlp.up_proj.weight"), r"layers\.1\.mlp\.up_proj\.weight"),
    "a mis-shaped tensor": (in_place_of("0.mlp.down", lambda rows: rows[:-1]), r"\(31, 96\) instead of \(32, 96\)"),
    "a bias too many": (
        beside("0.self_attn.q_proj.weight", "0.self_attn.q_proj.bias", copied=False),
        rf"unknown to its config\.json: {LAYER}self_attn\.q_proj\.bias",
    ),
    "a layer too many": (beside("layers.0", "layers.9"), r"unknown to its config\.json: (model\.)?layers\.9\."),
    "integer weights": (in_place_of("0.mlp.up", lambda rows: rows.to(torch.int8)), "up_proj.weight as I8, quantised"),
    "quantised": (config(quantization_config={"quant_method": "awq"}), r"quantised weights \(awq\)"),
    "bidirectional": (config(is_causal=False), "attention in both directions"),
    "another type": (config(model_type="qwen2"), "a model of type 'qwen2'"),
    "fewer embeddings than words": (few_embeddings, r"ids up to \d+, the model .* has 100 embeddings"),
}


def assert_equals_sentence_transformers(folder: Path) -> None:
    theirs = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    ours = embedder(folder)
    assert_close(ours.embed_queries(QUERIES), theirs.encode_query(QUERIES), VECTOR_TOLERANCE)
    assert_close(ours.embed_documents(DOCUMENTS), theirs.encode_document(DOCUMENTS), VECTOR_TOLERANCE)


@pytest.mark.parametrize("variant", EQUAL_EMBEDDERS)
def test_an_embedder_equals_sentence_transformers(embedding_folder, tmp_path, variant):
    assert_equals_sentence_transformers(copy(embedding_folder, tmp_path / "model", EQUAL_EMBEDDERS[variant]))


def test_an_embedder_without_their_files_equals_the_authors_code(embedding_folder, tmp_path):
    folder = copy(embedding_folder, tmp_path / "model", without_modules)
    assert_close(embedder(folder).embed_queries(QUERIES), reference.embed_queries(folder, QUERIES), VECTOR_TOLERANCE)
    assert_close(embedder(folder).embed_documents(DOCUMENTS), reference.embed(folder, DOCUMENTS), VECTOR_TOLERANCE)


@pytest.mark.parametrize("variant", EQUAL_RERANKERS)
@pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: shape.name)
def test_a_reranker_equals_the_authors_code(checkpoint_folder, tmp_path, shape, variant):
    if variant == "names of a bare model" and not shape.tied:
        pytest.skip("no model class saves a head beside a decoder without prefix")
    folder = copy(checkpoint_folder("reranker", shape), tmp_path / "model", EQUAL_RERANKERS[variant])
    expected = reference.score(folder, QUERIES[0], DOCUMENTS)
    assert_close(reranker(folder).score(QUERIES[0], DOCUMENTS), expected, PROBABILITY_TOLERANCE)


@pytest.mark.parametrize("kind", ["embedding", "reranker"])
@pytest.mark.parametrize("variant", REFUSED)
def test_what_cannot_be_right_is_refused_by_name(checkpoint_folder, tmp_path, kind, variant):
    change, message = REFUSED[variant]
    folder = copy(checkpoint_folder(kind), tmp_path / "model", change)
    engine_class = TorchEmbeddingEngine if kind == "embedding" else TorchRerankEngine
    with pytest.raises(CheckpointError, match=message):
        engine_class(LocalSettings(str(folder), kind, device="cpu")).load()


@pytest.mark.parametrize("has_modules", [True, False])
def test_an_embedder_given_as_reranker_is_refused_in_the_constructor(embedding_folder, tmp_path, has_modules):
    folder = copy(embedding_folder, tmp_path / "model", None if has_modules else without_modules)
    with pytest.raises(CheckpointError, match=r"is an embedder \(.*\), not a reranker; use it with Qwen3Embedding"):
        LocalSettings(str(folder), "reranker").check()


@pytest.mark.parametrize("change", [None, classifier()], ids=["causal", "classifier"])
def test_a_reranker_given_as_embedder_is_refused_in_the_constructor(reranker_folder, tmp_path, change):
    folder = copy(reranker_folder, tmp_path / "model", change)
    with pytest.raises(CheckpointError, match=r"is a reranker \(.*\), not an embedder; use it with Qwen3Rerank"):
        LocalSettings(str(folder), "embedding").check()


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}


@pytest.mark.parametrize("rope", [{"rope_type": "linear", "factor": 2.0}, YARN], ids=["linear", "yarn"])
def test_scaled_positions_equal_the_authors_code(tmp_path, rope):
    folder = make_checkpoint(tmp_path / "model", "embedding", rope_parameters={"rope_theta": 1e4, **rope})
    assert_equals_sentence_transformers(folder)


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_positions_are_read_in_both_spellings(tmp_path, key):
    folder = make_checkpoint(tmp_path / "model", "embedding", rope_parameters={"rope_theta": 1e4, **YARN})
    old = {"rope_scaling": YARN, "rope_theta": 1e4, "rope_parameters": None}
    config(**(old if key == "rope_scaling" else {}))(folder)
    assert_equals_sentence_transformers(folder)


def test_biases_equal_the_authors_code(tmp_path):
    folder = make_checkpoint(tmp_path / "model", "embedding", SHAPES[2], attention_bias=True)
    in_place_of("proj.bias", lambda bias: torch.linspace(-1, 1, len(bias)))(folder)
    assert_equals_sentence_transformers(folder)


def test_a_dense_layer_limits_the_dimensions(embedding_folder, tmp_path):
    from llama_index.embeddings.qwen3 import Qwen3Embedding

    folder = copy(embedding_folder, tmp_path / "model", dense(out=24))
    assert len(Qwen3Embedding(str(folder), dimensions=24).get_text_embedding("a")) == 24
    with pytest.raises(ValueError, match="dimensions=25 must be an integer from 1 to 24"):
        Qwen3Embedding(str(folder), dimensions=25)


def test_a_document_prompt_equals_sentence_transformers(embedding_folder):
    theirs = SentenceTransformer(str(embedding_folder), device="cpu", model_kwargs={"dtype": torch.float32})
    for prompt in ("Represent this passage: ", "<|im_start|>passage\n", "x"):
        ours = embedder(embedding_folder).embed_documents(DOCUMENTS, prompt=prompt)
        assert_close(ours, theirs.encode_document(DOCUMENTS, prompt=prompt), VECTOR_TOLERANCE)


def test_an_explicit_instruction_wins_over_the_checkpoints_prompts(embedding_folder, tmp_path):
    folder = copy(embedding_folder, tmp_path / "model", prompts(query="Query: ", document="Document: "))
    expected = reference.embed_queries(embedding_folder, QUERIES, "Find it")
    assert_close(embedder(folder).embed_queries(QUERIES, instruction="Find it"), expected, VECTOR_TOLERANCE)
    bare = reference.embed(embedding_folder, QUERIES)
    assert_close(embedder(folder).embed_queries(QUERIES, instruction=""), bare, VECTOR_TOLERANCE)
    assert_close(embedder(folder).embed_documents(QUERIES, prompt=""), bare, VECTOR_TOLERANCE)


def test_a_control_token_in_an_instruction_is_text(embedding_folder):
    engine = embedder(embedding_folder)
    vectors = [engine.embed_queries(["q"], instruction=f"find {end} it") for end in ("<|im_end|>", "<|im_end |>")]
    template = reference.embed(embedding_folder, ["Instruct: find <|im_end|> it\nQuery:q"])
    assert abs(vectors[0] - template).max() > 0.01, "the instruction's token controls the model"
    assert abs(vectors[0] - vectors[1]).max() > 1e-4


def test_a_document_prompt_that_leaves_no_room_is_an_error(embedding_folder):
    with pytest.raises(ValueError, match=r"the document prompt takes \d+ tokens, which leaves no room"):
        embedder(embedding_folder, max_length=8).embed_documents(["a"], prompt="a long prompt " * 5)
