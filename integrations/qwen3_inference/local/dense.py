"""Dense layers that a fine-tune has between pooling and normalisation, by sentence-transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.modules import read_json
from qwen3_inference.local.weights import open_weights

if TYPE_CHECKING:
    import torch

_TRUSTED = "torch.nn.modules."
_VECTOR = "sentence_embedding"


def dense_sizes(folders: Sequence[Path], hidden_size: int) -> list[int]:
    """The lengths of a vector before and after each layer.

    Raises:
        CheckpointError: a layer's files are missing, do not fit together, or name code of their own.
    """
    sizes = [hidden_size]
    for folder in folders:
        settings = read_json(folder / "config.json", dict)
        inner, outer = settings.get("in_features"), settings.get("out_features")
        if inner != sizes[-1] or not isinstance(outer, int) or outer < 1:
            raise CheckpointError(f"{folder} turns {inner!r} numbers into {outer!r}, but is given {sizes[-1]}")
        activation = settings.get("activation_function", f"{_TRUSTED}activation.Tanh")
        if not str(activation).startswith(_TRUSTED):
            raise CheckpointError(f"{folder} names code of its own ({activation}), which is never run")
        for name in ("module_input_name", "module_output_name"):
            if settings.get(name, _VECTOR) not in (_VECTOR, None):
                raise CheckpointError(f"{folder} has {name} {settings[name]!r}; a layer for {_VECTOR!r} is supported")
        needed = {"linear.weight": (outer, inner)} | ({"linear.bias": (outer,)} if settings.get("bias", True) else {})
        if settings.get("use_residual") and inner != outer:
            needed["residual.weight"] = (outer, inner)
        found = dict(open_weights(folder).shapes)
        if found != needed:
            raise CheckpointError(f"{folder} needs the weights {needed}; it has {found}")
        sizes.append(outer)
    return sizes


def load_dense(folders: Sequence[Path], device: "torch.device") -> "list[torch.nn.Module]":
    """The layers in float32."""
    from sentence_transformers.sentence_transformer.modules import Dense

    return [Dense.load(str(folder), local_files_only=True).to(device).float().eval() for folder in folders]
