"""LoRA folders are merged at load, or refused with the remedy; the base is never used in silence."""

import re
import shutil
from importlib.metadata import version

import numpy as np
import pytest
from inference.test_checkpoint_matrix import DOCUMENTS, QUERIES, assert_equals_sentence_transformers
from packaging.version import Version
from qwen3_inference import CheckpointError, LocalSettings
from support import reference
from support.engines import PROBABILITY_TOLERANCE, VECTOR_TOLERANCE, assert_close, embedder, reranker
from support.variants import adapter_of, edit_json

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
FEATURES, CAUSAL = "FEATURE_EXTRACTION", "CAUSAL_LM"


@pytest.fixture
def adapter(embedding_folder, tmp_path):
    pytest.importorskip("peft")
    return adapter_of(embedding_folder, tmp_path / "adapter", FEATURES)


@pytest.mark.skipif(
    Version(version("transformers")) < Version("5.6"),
    reason="no reference: with transformers before 5.6, SentenceTransformer leaves the adapter out in silence",
)
def test_an_adapter_of_an_embedder_is_merged(embedding_folder, adapter):
    assert_equals_sentence_transformers(adapter)
    plain = embedder(embedding_folder).embed_documents(DOCUMENTS)
    assert np.abs(embedder(adapter).embed_documents(DOCUMENTS) - plain).max() > 0.01, "the adapter changes nothing"


@pytest.mark.parametrize("files", [["config.json"], ["config.json", "model.safetensors"]], ids=["config", "weights"])
def test_an_adapter_beside_its_bases_files_is_merged(embedding_folder, adapter, files):
    expected = embedder(adapter).embed_documents(DOCUMENTS)
    for name in files:
        shutil.copy(embedding_folder / name, adapter)
    assert_close(embedder(adapter).embed_documents(DOCUMENTS), expected, 0)


def test_an_adapter_that_was_trained_under_a_head_serves_an_embedder(embedding_folder, adapter, tmp_path):
    trained = adapter_of(embedding_folder, tmp_path / "causal", CAUSAL)
    expected = embedder(adapter).embed_documents(DOCUMENTS)
    assert_close(embedder(trained).embed_documents(DOCUMENTS), expected, VECTOR_TOLERANCE)


@pytest.mark.parametrize("task", [CAUSAL, FEATURES])
def test_an_adapter_of_a_reranker_is_merged(reranker_folder, tmp_path, task):
    peft = pytest.importorskip("peft")
    folder = adapter_of(reranker_folder, tmp_path / "adapter", task)
    causal = folder if task == CAUSAL else adapter_of(reranker_folder, tmp_path / "causal", CAUSAL)
    merged = tmp_path / "merged"
    peft.AutoPeftModelForCausalLM.from_pretrained(causal).merge_and_unload().save_pretrained(merged)
    for path in folder.glob("tokenizer*"):
        shutil.copy(path, merged)
    expected = reference.score(merged, QUERIES[0], DOCUMENTS)
    assert_close(reranker(folder).score(QUERIES[0], DOCUMENTS), expected, PROBABILITY_TOLERANCE)
    assert np.abs(expected - reference.score(reranker_folder, QUERIES[0], DOCUMENTS)).max() > 0.01


def test_the_tokenizer_of_the_base_serves_an_adapter_without_one(adapter):
    expected = embedder(adapter).embed_documents(DOCUMENTS)
    for path in adapter.glob("tokenizer*"):
        path.unlink()
    assert_close(embedder(adapter).embed_documents(DOCUMENTS), expected, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_model_name_or_path": None}, "does not say which model it changes"),
        ({"base_model_name_or_path": "/nowhere/base"}, "'/nowhere/base' is not a folder"),
        ({"peft_type": "PROMPT_TUNING"}, "of type PROMPT_TUNING .* cannot be merged at load"),
        ({"task_type": "SEQ_CLS"}, "for the task SEQ_CLS, which cannot be merged at load"),
        ({"target_modules": ["q_proj"]}, "weights have no place there, 0 places have no weight"),
        (
            {"target_modules": ["q_proj", "v_proj", "down_proj", "up_proj"]},
            "0 of its weights .* 4 places have no weight",
        ),
        ({"r": 8}, "does not fit its base .*size mismatch"),
    ],
    ids=["no base", "base gone", "prompts", "classifier", "too many weights", "too few", "another rank"],
)
def test_an_adapter_that_cannot_be_merged_is_refused(adapter, changes, message):
    edit_json(adapter / "adapter_config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        embedder(adapter).load()


def test_an_adapter_is_not_read_from_pickles(adapter):
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(CheckpointError, match=r"no adapter_model\.safetensors; weights are read from safetensors only"):
        LocalSettings(str(adapter), "embedding").check()


def test_an_adapter_without_peft_names_the_extra(adapter, monkeypatch):
    monkeypatch.setattr("qwen3_inference.local.adapters.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=re.escape("pip install 'llama-index-qwen3[peft]'")):
        LocalSettings(str(adapter), "embedding").check()
