"""What users bring: a checkpoint of random weights, changed as fine-tunes, conversions and downloads change it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.sentence_transformer.modules import Dense
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForSequenceClassification

Change = Callable[[Path], None]
Tensors = dict[str, torch.Tensor]


def copy(source: Path, to: Path, change: Change | None = None) -> Path:
    """A changed copy; shared checkpoints are never changed."""
    shutil.copytree(source, to)
    if change:
        change(to)
    return to


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}), encoding="utf-8")


def config(**changes: Any) -> Change:
    return lambda folder: edit_json(folder / "config.json", **changes)


def edit_weights(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in change(load_file(path)).items()}, path, {"format": "pt"})


def weights(change: Callable[[str, torch.Tensor], Tensors]) -> Change:
    """`change(name, tensor)` gives what stands in a tensor's place."""

    def apply(tensors: Tensors) -> Tensors:
        return {new: value for name, tensor in tensors.items() for new, value in change(name, tensor).items()}

    return lambda folder: edit_weights(folder, apply)


def renamed(prefix: str) -> Change:
    """All names with another prefix in place of `model.`."""
    return weights(lambda name, tensor: {prefix + name.removeprefix("model."): tensor})


def without(end: str) -> Change:
    return weights(lambda name, tensor: {} if name.endswith(end) else {name: tensor})


def beside(part: str, new: str, *, copied: bool = True) -> Change:
    """A further tensor beside each whose name has `part`, under the name with `new` instead."""

    def change(name: str, tensor: torch.Tensor) -> Tensors:
        extra = {name.replace(part, new): tensor.clone() if copied else torch.ones(tensor.shape[0])}
        return {name: tensor} | (extra if part in name else {})

    return weights(change)


def in_place_of(part: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return weights(lambda name, tensor: {name: change(tensor) if part in name else tensor})


def without_modules(folder: Path) -> None:
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def sharded(folder: Path) -> None:
    """Two files and an index, as large models are saved."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {f"model-{i:05}-of-00002.safetensors": sorted(tensors)[i::2] for i in (0, 1)}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def few_embeddings(folder: Path) -> None:
    """Fewer rows than the tokenizer has words."""
    in_place_of("embed_tokens", lambda rows: rows[:100])(folder)
    in_place_of("lm_head", lambda rows: rows[:100])(folder)
    edit_json(folder / "config.json", vocab_size=100)


def with_words(folder: Path) -> None:
    """Words added to the vocabulary, with trained rows."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    added = tokenizer.add_tokens(["ACME-X200", "Zürich", "<im_end>"])
    tokenizer.save_pretrained(folder)
    generator = torch.Generator().manual_seed(1)

    def grown(rows: torch.Tensor) -> torch.Tensor:
        return torch.cat((rows, torch.randn(added, rows.shape[1], generator=generator) * 0.2))

    in_place_of("embed_tokens", grown)(folder)
    in_place_of("lm_head", grown)(folder)
    edit_json(folder / "config.json", vocab_size=len(tokenizer))


def prompts(**own: str) -> Change:
    return lambda folder: edit_json(folder / "config_sentence_transformers.json", prompts=own)


def dense(*, out: int, activation: type[torch.nn.Module] = torch.nn.Tanh, residual: bool = False) -> Change:
    """A dense layer between pooling and normalisation."""

    def change(folder: Path) -> None:
        hidden = json.loads((folder / "config.json").read_text())["hidden_size"]
        torch.manual_seed(2)
        layer = Dense(hidden, out, bias=not residual, activation_function=activation(), use_residual=residual)
        (folder / "2_Dense").mkdir()
        layer.save(str(folder / "2_Dense"))
        rows = json.loads((folder / "modules.json").read_text())
        more = [
            {"idx": i, "name": str(i), "path": f"{i}_{name}", "type": f"sentence_transformers.models.{name}"}
            for i, name in ((2, "Dense"), (3, "Normalize"))
        ]
        (folder / "modules.json").write_text(json.dumps([*rows[:2], *more]))

    return change


def classifier(*, labels: int = 1, tied: bool = True, **settings: Any) -> Change:
    """The reranker's decoder under a classification head of its own."""

    def change(folder: Path) -> None:
        causal = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        known = Qwen3Config.from_pretrained(folder, num_labels=labels, tie_word_embeddings=tied, pad_token_id=0)
        torch.manual_seed(3)
        model = Qwen3ForSequenceClassification(known)
        model.model.load_state_dict(causal.model.state_dict())
        model.save_pretrained(folder)
        edit_json(folder / "config.json", **settings)

    return change


def adapter_of(base: Path, folder: Path, task: str) -> Path:
    """A LoRA adapter as peft saves it, with the tokenizer and sentence-transformers' files beside it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    model = (AutoModel if task == "FEATURE_EXTRACTION" else AutoModelForCausalLM).from_pretrained(base)
    places = ["q_proj", "v_proj", "down_proj"]
    torch.manual_seed(4)
    tuned = get_peft_model(model, LoraConfig(task_type=task, r=4, lora_alpha=32, target_modules=places))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    tuned.save_pretrained(str(folder))
    for path in base.iterdir():
        if path.name.startswith(("tokenizer", "modules", "config_sentence", "1_Pooling")):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    return folder
