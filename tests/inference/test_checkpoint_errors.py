"""What cannot be run is refused with the reason and the remedy; nothing unsafe is read."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from qwen3_inference import CheckpointError, LocalSettings
from support.checkpoints import SHAPES, make_checkpoint, write_tokenizer
from support.engines import embedder, reranker


@pytest.fixture
def copy_of(tmp_path):
    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("path", ["/nowhere/model", "./nowhere", "~/nowhere-at-all", "a/b/c"])
def test_a_missing_folder_is_named(path):
    with pytest.raises(CheckpointError, match=rf"'{path}' is not a folder; give a folder with config.json"):
        LocalSettings(path, "embedding").check()


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="is not a folder"):
        LocalSettings(str(tmp_path / "model.bin"), "embedding").check()


@pytest.mark.parametrize("name", ["", "  ", None, 3, Path("x")])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(CheckpointError, match="must be a hub name"):
        LocalSettings(name, "embedding").check()


@pytest.mark.parametrize("name", ["bad name", "-x/y", "a/..b", "a:b"])
def test_a_name_that_no_hub_has_is_refused(name):
    with pytest.raises(CheckpointError, match="neither a folder nor a hub name"):
        LocalSettings(name, "embedding").check()


def test_a_folder_without_config_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no config\.json: not a model checkpoint"):
        LocalSettings(str(tmp_path), "embedding").check()


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_broken_config_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match="is not a JSON object"):
        LocalSettings(str(tmp_path), "embedding").check()


@pytest.mark.parametrize("model_type", ["bert", "qwen2", "qwen3_moe", None])
def test_another_architecture_is_refused_by_name(copy_of, embedding_folder, model_type):
    folder = copy_of(embedding_folder)
    edit_config(folder, model_type=model_type)
    with pytest.raises(CheckpointError, match=rf"holds a model of type {model_type!r}; this package runs 'qwen3' only"):
        LocalSettings(str(folder), "embedding").check()


def test_pickled_weights_are_never_read(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    (folder / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"has no \*\.safetensors file.*pickled weights can run code"):
        LocalSettings(str(folder), "embedding").check()


def test_safetensors_are_taken_where_both_are_there(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    (folder / "pytorch_model.bin").write_bytes(b"this would not even unpickle")
    assert (embedder(folder).embed_documents(["a"]) == embedder(embedding_folder).embed_documents(["a"])).all()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_act": "gelu"}, r"hidden_act 'gelu' \(computed: 'silu'\)"),
        ({"use_sliding_window": True}, "a sliding window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types 'sliding_attention'"),
        ({"layer_types": ["linear_attention"] * 2}, "layer_types 'linear_attention'"),
        ({"is_causal": False}, "attention in both directions"),
        ({"use_bidirectional_attention": True}, "attention in both directions"),
        ({"bidirectional": True}, "attention in both directions"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, r"quantised weights \(gptq\)"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "rope_type 'dynamic' is not supported"),
        ({"rope_scaling": {"type": "longrope", "factor": 2.0}}, "rope_type 'longrope' is not supported"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "a rotary embedding of its own"),
        ({"partial_rotary_factor": 0.5}, r"partial_rotary_factor 0\.5"),
        ({"auto_map": {"AutoModel": "modeling.BiQwen3"}}, r"code of its own \(AutoModel: modeling\.BiQwen3\)"),
        ({"architectures": ["Qwen3ForTokenClassification"]}, "the architecture 'Qwen3ForTokenClassification'"),
        ({"architectures": ["JinaForRanking"]}, "the architecture 'JinaForRanking'"),
        ({"num_key_value_heads": 3}, "must be a multiple of num_key_value_heads 3"),
        ({"hidden_size": "32"}, "hidden_size '32' must be an integer"),
        ({"head_dim": 15}, "head_dim 15 must be even"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", ["embedding", "reranker"])
def test_a_variant_that_would_be_computed_wrongly_is_refused(copy_of, checkpoint_folder, kind, changes, named):
    folder = copy_of(checkpoint_folder(kind))
    edit_config(folder, **changes)
    with pytest.raises(CheckpointError, match=rf"copy/config\.json .*{named}"):
        LocalSettings(str(folder), kind).check()


def test_a_position_encoding_that_depends_on_the_length_is_refused(tmp_path):
    rope = {"rope_type": "dynamic", "rope_theta": 1e6, "factor": 2.0}
    folder = make_checkpoint(tmp_path / "dynamic", "embedding", rope_parameters=rope)
    with pytest.raises(CheckpointError, match="rope_type 'dynamic' is not supported"):
        embedder(folder).load()


def test_an_embedder_whose_tokenizer_appends_no_end_is_refused(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    write_tokenizer(folder, appends_end=False)
    with pytest.raises(CheckpointError, match=r"instead of <\|endoftext\|>.*take tokenizer.json from"):
        embedder(folder).load()


def test_a_reranker_whose_tokenizer_lacks_yes_is_refused(copy_of, reranker_folder):
    folder = copy_of(reranker_folder)
    path = folder / "tokenizer.json"
    settings = json.loads(path.read_text())
    settings["model"]["merges"] = [pair for pair in settings["model"]["merges"] if "".join(pair) != "yes"]
    path.write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match="tokens of 'yes'; a Qwen3 reranker answers with the single tokens"):
        reranker(folder).load()


@pytest.mark.parametrize("content", ["{", "{}", '{"model": {"type": "Unheard"}}'])
def test_a_broken_tokenizer_is_refused_by_its_path(copy_of, embedding_folder, content):
    folder = copy_of(embedding_folder)
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"copy/tokenizer\.json cannot be read: "):
        embedder(folder).load()


def test_a_folder_without_a_tokenizer_is_refused(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        embedder(folder).load()


def test_another_pooling_is_refused(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    pooling = folder / "1_Pooling" / "config.json"
    settings = json.loads(pooling.read_text()) | {"pooling_mode_lasttoken": False, "pooling_mode_mean_tokens": True}
    pooling.write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=r"Pooling\(lasttoken\)"):
        embedder(folder).load()


def test_a_failed_load_can_be_repaired_and_tried_again(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    engine = embedder(folder)
    tokenizer = (folder / "tokenizer.json").rename(folder / "away")
    with pytest.raises(CheckpointError):
        engine.embed_documents(["a"])
    tokenizer.rename(folder / "tokenizer.json")
    assert engine.embed_documents(["a"]).shape == (1, SHAPES[0].hidden)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("max_length", 0, "max_length=0 must be an integer of at least 1"),
        ("max_length", True, "max_length=True must be an integer"),
        ("max_batch_tokens", -5, "max_batch_tokens=-5 must be an integer of at least 1"),
        ("max_batch_tokens", "8192", "max_batch_tokens='8192' must be an integer"),
        ("dtype", "int8", "dtype='int8' must be one of 'auto', 'float32', 'bfloat16', 'float16'"),
    ],
)
def test_a_setting_out_of_bounds_names_value_and_bound(embedding_folder, setting, value, message):
    with pytest.raises(ValueError, match=message):
        LocalSettings(str(embedding_folder), "embedding", **{setting: value}).check()


def test_a_device_that_is_not_here_is_an_error_with_a_remedy(embedding_folder):
    with pytest.raises(ValueError, match=r"device='cuda:99' cannot be used here .*try 'cpu' or None"):
        embedder(embedding_folder, device="cuda:99").load()


def test_weights_load_at_the_first_use_and_once(embedding_folder, copy_of):
    folder = copy_of(embedding_folder)
    engine = embedder(folder)
    assert engine._model is None
    engine.embed_documents(["a"])
    shutil.rmtree(folder)
    assert engine.embed_documents(["a"]).shape == (1, 32)


def test_the_bundled_pair_is_computed_in_float32_unless_told_otherwise():
    assert LocalSettings("tiny", "embedding").effective_dtype == "float32"
    assert LocalSettings("tiny", "embedding", dtype="bfloat16").effective_dtype == "bfloat16"
    assert LocalSettings("Qwen/Qwen3-Embedding-0.6B", "embedding").effective_dtype == "auto"


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
TWO_PARTS = '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", POINTER, r"model\.safetensors is a Git LFS pointer.*git lfs pull"),
        ("tokenizer.json", POINTER, r"tokenizer\.json is a Git LFS pointer.*git lfs pull"),
        ("config.json", POINTER, r"config\.json is a Git LFS pointer.*git lfs pull"),
        ("model.safetensors", "", r"model\.safetensors is cut off or damaged.*again"),
        ("model.safetensors", "<html>404</html>", r"model\.safetensors is cut off or damaged.*again"),
        ("model.safetensors", None, r"has no \*\.safetensors file: the checkpoint was not copied or downloaded whole"),
        ("modules.json", "[{}]", r"modules\.json is damaged: an entry without a type"),
        ("modules.json", "{}", r"modules\.json is not a JSON list"),
        ("modules.json", '[{"type": "mine.Transformer"}]', r"names code of its own \(mine\.Transformer\)"),
        ("modules.json", '[{"type": "sentence_transformers.models.Transformer", "path": "../x"}]', "outside the check"),
        ("1_Pooling/config.json", None, r"1_Pooling/config\.json is missing: the checkpoint was not copied"),
        ("1_Pooling/config.json", '{"pooling_mode": "mean"}', r"it has Pooling\(mean\)"),
        ("1_Pooling/config.json", '{"pooling_mode": ["mean", "lasttoken"]}', r"it has Pooling\(mean\+lasttoken\)"),
        ("sentence_bert_config.json", '{"do_lower_case": true}', "asks for do_lower_case"),
        ("config_sentence_transformers.json", '{"prompts": {"query": 3}}', "the prompt 'query' is 3, not a text"),
    ],
)
def test_a_damaged_or_missing_file_is_named_with_the_remedy(copy_of, embedding_folder, name, content, message):
    folder = copy_of(embedding_folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=message):
        embedder(folder).load()


def test_weights_that_were_cut_off_are_noticed_wherever_the_cut_is(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    whole = (folder / "model.safetensors").read_bytes()
    for length in (4, 8, 100, len(whole) // 2, len(whole) - 1):
        (folder / "model.safetensors").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"model\.safetensors is cut off or damaged"):
            LocalSettings(str(folder), "embedding").check()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (
            TWO_PARTS,
            r"lacks model-1\.safetensors, model-2\.safetensors of the 2 files named in model",
        ),
        (
            '{"weight_map": {"a": "../model.safetensors"}}',
            r"names '\.\./model\.safetensors', which is not a file",
        ),
        ('{"weight_map": {}}', "lacks any part of the 0 files"),
        ("[]", r"index\.json is not a JSON object"),
    ],
)
def test_an_index_that_names_other_files_is_refused(copy_of, embedding_folder, index, message):
    folder = copy_of(embedding_folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=message):
        LocalSettings(str(folder), "embedding").check()


def test_weights_under_another_name_are_named(copy_of, embedding_folder):
    folder = copy_of(embedding_folder)
    (folder / "model.safetensors").rename(folder / "pytorch.safetensors")
    with pytest.raises(CheckpointError, match=r"has pytorch\.safetensors but neither model\.safetensors nor"):
        LocalSettings(str(folder), "embedding").check()
