"""LoRA and other PEFT adapters, merged into their base model at load."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.modules import RERANKER, read_json
from qwen3_inference.local.weights import Shape, tensor_names

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_FILE = "adapter_model.safetensors"
_NOT_MERGEABLE = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "CPT")


@dataclass(frozen=True)
class Adapter:
    """An adapter's folder and the model it was trained on."""

    folder: Path
    base: str
    base_revision: str | None
    wraps_backbone: bool
    """Whether it was trained on the bare decoder, as sentence-transformers does, not on a model with a head."""


@dataclass(frozen=True)
class LoadedWeights:
    """Tensors in memory."""

    tensors: "Mapping[str, Tensor]"

    @property
    def shapes(self) -> Mapping[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}

    def tensor(self, name: str, dtype: "torch.dtype", device: "torch.device") -> "Tensor":
        return self.tensors[name].to(device=device, dtype=dtype, copy=True)

    def rows(self, name: str, indices: Sequence[int]) -> "Tensor":
        return self.tensors[name][list(indices)].float()


def read_adapter(folder: Path) -> Adapter | None:
    """The adapter in `folder`, None where there is none.

    Raises:
        CheckpointError: it cannot be merged: peft is not installed, a file is missing, or it is not of a kind that
            ends in plain weights.
    """
    path = folder / "adapter_config.json"
    if not path.is_file():
        return None
    settings = read_json(path, dict)
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise CheckpointError(f"{path} does not say which model it changes (base_model_name_or_path)")
    if find_spec("peft") is None:
        raise CheckpointError(
            f"{folder} is a PEFT adapter of {base!r}; install peft (pip install 'llama-index-qwen3[peft]') to have it "
            "merged at load, or merge it yourself: model.merge_and_unload().save_pretrained(FOLDER)"
        )
    kind, task = settings.get("peft_type"), settings.get("task_type")
    if task == "SEQ_CLS" or kind in _NOT_MERGEABLE:
        raise CheckpointError(
            f"{path} is of type {kind} for the task {task}, which cannot be merged at load; save a merged model: "
            "model.merge_and_unload().save_pretrained(FOLDER)"
        )
    if not (folder / _FILE).is_file():
        raise CheckpointError(f"{folder} has no {_FILE}; weights are read from safetensors only: save the adapter so")
    names = tensor_names(folder / _FILE)
    inner = any(name.startswith("base_model.model.model.") for name in names)
    return Adapter(folder, base, settings.get("revision"), wraps_backbone=not inner)


def merged_weights(adapter: Adapter, base_folder: Path, kind: str, dtype: "torch.dtype") -> LoadedWeights:
    """The weights of the base with the adapter merged into them, computed by peft."""
    import torch
    from peft import PeftModel, get_peft_model_state_dict
    from transformers import AutoModel, AutoModelForCausalLM

    misfit = f"the adapter in {adapter.folder} does not fit its base {adapter.base!r}"
    loader: Any = AutoModel if adapter.wraps_backbone and kind != RERANKER else AutoModelForCausalLM
    try:
        with warnings.catch_warnings():  # what peft warns of (adapter weights that are missing) is an error below
            warnings.simplefilter("ignore")
            model = loader.from_pretrained(str(base_folder), dtype=dtype, use_safetensors=True, local_files_only=True)
            inner = model.model if adapter.wraps_backbone and kind == RERANKER else model
            tuned = PeftModel.from_pretrained(inner, str(adapter.folder), autocast_adapter_dtype=False)
            used = set(get_peft_model_state_dict(tuned))
            merged = tuned.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"{misfit}: {' '.join(str(error).split())[:300]}") from error
    given = set(tensor_names(adapter.folder / _FILE))
    if given != used:
        different = ", ".join(sorted(given ^ used)[:3])
        raise CheckpointError(
            f"{misfit}: {len(given - used)} of its weights have no place there, {len(used - given)} places have no "
            f"weight ({different})"
        )
    with torch.no_grad():
        if inner is not model:
            return LoadedWeights({f"model.{k}": v for k, v in merged.state_dict().items()} | _head(model))
        return LoadedWeights(dict(merged.state_dict()))


def _head(model: Any) -> "dict[str, Tensor]":
    return {"lm_head.weight": model.lm_head.weight}
