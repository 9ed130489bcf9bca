"""The options of both classes: declared once, plain whatever they are given as, refused in one sentence."""

import inspect
import json
import pickle
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference import CheckpointError, LocalSettings
from qwen3_inference.local.options import LocalOptions

CLASSES = [Qwen3Embedding, Qwen3Rerank]
FIRST = {Qwen3Embedding: "model_name", Qwen3Rerank: "model"}
each_class = pytest.mark.parametrize("model_class", CLASSES)


def parameters_of(model_class):
    return {name: p for name, p in inspect.signature(model_class).parameters.items() if name != "self"}


@each_class
def test_signature_and_fields_agree(model_class):
    parameters = parameters_of(model_class)
    assert set(parameters) == set(model_class.model_fields)
    for name, parameter in parameters.items():
        if name != "callback_manager":  # made for each object
            assert parameter.default == model_class.model_fields[name].default, name
    assert not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters.values())


@each_class
def test_the_docstring_describes_every_option(model_class):
    described = model_class.__doc__.split("Args:\n")[1]
    for name in parameters_of(model_class):
        assert f"    {name}: {str(model_class.model_fields[name].description)[:30]}" in described


def test_local_options_are_those_of_the_engines_settings():
    settings = {field.name: field.default for field in fields(LocalSettings) if field.name not in ("model", "kind")}
    assert settings == {name: field.default for name, field in LocalOptions.model_fields.items()}


@each_class
def test_the_signature_is_the_published_one(model_class):
    expected = {
        Qwen3Embedding: "model_name query_instruction dimensions max_length device dtype revision cache_folder "
        "trust_remote_code max_batch_tokens engine embed_batch_size num_workers embeddings_cache callback_manager",
        Qwen3Rerank: "model top_n instruction score_threshold keep_retrieval_score max_length device dtype revision "
        "cache_folder trust_remote_code max_batch_tokens engine callback_manager",
    }
    published = [name for name in parameters_of(model_class) if name not in ("rate_limiter", "text_instruction")]
    assert published == expected[model_class].split()


@pytest.fixture(params=CLASSES, ids=lambda model_class: model_class.__name__)
def model_class(request):
    return request.param


@pytest.fixture
def folder(model_class, embedding_folder, reranker_folder):
    return embedding_folder if model_class is Qwen3Embedding else reranker_folder


GIVEN = {
    "cache_folder": (Path("a") / "b", "a/b"),
    "device": (torch.device("cpu"), "cpu"),
    "dtype": (torch.bfloat16, "bfloat16"),
}
NOT_HERE = {"device": [(torch.device("cuda", 1), "cuda:1"), (torch.device("mps"), "mps")]}


@pytest.mark.parametrize("name", GIVEN)
def test_paths_dtypes_and_devices_become_plain_strings(model_class, folder, name):
    for value, plain in [GIVEN[name], *NOT_HERE.get(name, [])]:
        built = model_class(folder, **{name: value})
        assigned = model_class(folder)
        setattr(assigned, name, value)
        copied = model_class(folder).model_copy(update={name: value})
        expected = model_class(str(folder), **{name: plain})
        for model in (built, assigned, copied):
            assert type(getattr(model, name)) is str
            assert model.to_dict() == expected.to_dict()
            assert json.loads(json.dumps(model.to_dict()))[name] == plain
            assert model_class.from_dict(model.to_dict()).to_dict() == expected.to_dict()
            assert pickle.loads(pickle.dumps(model)).to_dict() == expected.to_dict()
            assert model._engine_in_use().settings == expected._engine_in_use().settings


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_torch_dtype_computes_as_its_name_does(model_class, folder, dtype):
    given, named = (model_class(folder, dtype=value, device=torch.device("cpu")) for value in (dtype, str(dtype)[6:]))
    if model_class is Qwen3Embedding:
        assert given.get_text_embedding("a") == named.get_text_embedding("a")
    else:
        assert given.rank("q", ["a"]) == named.rank("q", ["a"])
    assert given._local_engine._model.decoder.dtype == dtype


def test_a_path_is_the_folder_of_its_string(model_class, folder):
    first = FIRST[model_class]
    model = model_class(folder)
    assert getattr(model, first) == str(folder)
    model = model_class()
    setattr(model, first, folder)
    assert model._engine_in_use().settings.model == str(folder)


@pytest.mark.parametrize("name", ["tiny", "Qwen/Qwen3-Embedding-0.6B", "typo"])
def test_a_path_never_means_a_hub_name_or_the_bundled_pair(model_class, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=f"'./{name}' is not a folder"):
        model_class(Path(name))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": 0}, r"device=0 must be 'cpu', 'cuda', 'cuda:1', 'mps', a torch.device or None"),
        ({"dtype": None}, "dtype=None must be one of 'auto', 'float32', 'bfloat16', 'float16' or a torch.dtype"),
        ({"dtype": torch.int8}, "dtype='int8' must be one of"),
        ({"dtype": float}, "dtype=<class 'float'> must be one of"),
        ({"cache_folder": 3}, "cache_folder=3 must be a folder, as a string or a pathlib.Path"),
        ({"max_length": "long"}, "max_length='long': Input should be a valid integer"),
        ({"max_length": None}, "max_length=None: Input should be a valid integer"),
        ({"trust_remote_code": "perhaps"}, "trust_remote_code='perhaps': Input should be a valid boolean"),
        ({"revision": 1}, "revision=1: Input should be a valid string"),
        ({"device": 0, "dtype": 1}, "device=0 must be .*; dtype=1 must be"),
    ],
    ids=str,
)
def test_a_wrong_value_is_one_plain_sentence(model_class, folder, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        model_class(folder, **options)
    assert type(caught.value) is ValueError
    assert "\n" not in str(caught.value)
    model = model_class(folder)
    name, value = next(iter(options.items()))
    if value is not torch.int8:  # a string as soon as it is set; the next use says what is wrong with it
        before = getattr(model, name)
        with pytest.raises(ValueError, match=f"^{name}="):
            setattr(model, name, value)
        assert getattr(model, name) == before


@pytest.mark.parametrize("value", [None, 3, b"tiny", ["tiny"]], ids=str)
def test_a_model_of_a_wrong_type_says_what_it_may_be(model_class, value):
    with pytest.raises(ValueError, match=rf"{FIRST[model_class]}=.* must be a hub name .*, a folder .* or 'tiny'"):
        model_class(value)


def test_a_setting_of_an_object_is_checked_when_it_is_assigned(embedding_folder, reranker_folder):
    embed_model, rerank = Qwen3Embedding(embedding_folder), Qwen3Rerank(reranker_folder)
    for model, name, value in (
        (embed_model, "query_instruction", "Instruct: x\nQuery:"),
        (embed_model, "embeddings_cache", {}),
        (embed_model, "engine", object()),
        (rerank, "instruction", 3),
        (rerank, "top_n", 0),
        (rerank, "score_threshold", 2),
        (rerank, "engine", object()),
    ):
        with pytest.raises(ValueError, match=name):
            setattr(model, name, value)
        with pytest.raises(ValueError, match=name):
            model.model_copy(update={name: value})


def test_a_misspelt_update_of_a_copy_is_an_error(model_class, folder):
    with pytest.raises(ValueError, match="instructions"):
        model_class(folder).model_copy(update={"instructions": "x"})


def test_a_subclass_keeps_its_own_docstring(model_class):
    class Own(model_class):
        """Mine."""

    assert Own.__doc__ == "Mine."
