"""A checkpoint's tensors: in which safetensors files they lie, and whether they are those that a decoder needs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.architecture import Architecture
from qwen3_inference.local.modules import read_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Shape = tuple[int, ...]
_FLOATS = {"F64", "F32", "F16", "BF16"}
_SHOWN = 3


class Weights(Protocol):
    """Tensors by name."""

    @property
    def shapes(self) -> Mapping[str, Shape]: ...

    def tensor(self, name: str, dtype: "torch.dtype", device: "torch.device") -> "Tensor":
        """A copy of one tensor."""

    def rows(self, name: str, indices: "Sequence[int]") -> "Tensor":
        """Rows of a matrix, float32 on the CPU."""


@dataclass(frozen=True)
class SafetensorsFiles:
    """The weights of a folder, read one by one when they are asked for."""

    shapes: Mapping[str, Shape]
    files: Mapping[str, Path]

    def tensor(self, name: str, dtype: "torch.dtype", device: "torch.device") -> "Tensor":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.files[name], framework="pt") as file:
                # A copy: what safetensors hands out may be the file's own pages, which change when the file does.
                tensor: Tensor = file.get_tensor(name).to(device=device, dtype=dtype, copy=True)
                return tensor
        except (OSError, SafetensorError) as error:
            raise _damaged(self.files[name], error) from error

    def rows(self, name: str, indices: Sequence[int]) -> "Tensor":
        import torch
        from safetensors import safe_open

        with safe_open(self.files[name], framework="pt") as file:
            matrix = file.get_slice(name)
            return torch.stack([matrix[index].float() for index in indices])


def open_weights(folder: Path) -> SafetensorsFiles:
    """The names and shapes of all tensors, from the headers of model.safetensors or of its parts.

    Raises:
        CheckpointError: a file is missing, cut off, a Git LFS pointer, or no safetensors file.
    """
    shapes: dict[str, Shape] = {}
    files: dict[str, Path] = {}
    for path in _files(folder):
        for name, shape in _header(path):
            shapes[name], files[name] = shape, path
    return SafetensorsFiles(shapes, files)


def tensor_names(path: Path) -> list[str]:
    """The names in one safetensors file."""
    return [name for name, _ in _header(path)]


def _files(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise CheckpointError(_without_weights(folder))
    names = set((read_json(index, dict).get("weight_map") or {}).values())
    if strange := [name for name in names if not isinstance(name, str) or Path(name).name != name]:
        raise CheckpointError(f"{index} names {strange[0]!r}, which is not a file of its folder")
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing or not names:
        raise CheckpointError(
            f"{folder} lacks {_some(missing) or 'any part'} of the {len(names)} files named in {index.name}: the "
            "checkpoint was not copied or downloaded whole; get it again"
        )
    return [folder / name for name in sorted(names)]


def _without_weights(folder: Path) -> str:
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    if found:
        return f"{folder} has {_some(found)} but neither model.safetensors nor model.safetensors.index.json; rename it"
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if pickled:
        return (
            f"{folder} has no *.safetensors file but {_some(pickled)}; weights are read from safetensors only (pickled "
            "weights can run code). Convert them with model.save_pretrained(folder), which writes safetensors"
        )
    return (
        f"{folder} has no *.safetensors file: the checkpoint was not copied or downloaded whole (its weights are in "
        "model.safetensors); get it again, for example with `hf download NAME`"
    )


def _header(path: Path) -> Iterator[tuple[str, Shape]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118  not a dictionary
                part = file.get_slice(name)
                if part.get_dtype() not in _FLOATS:
                    raise CheckpointError(f"{path} holds {name} as {part.get_dtype()}, quantised: take it in bfloat16")
                yield name, tuple(part.get_shape())
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    with path.open("rb") as file:
        start = file.read(40)
    if start.startswith(b"version https://git-lfs"):
        return CheckpointError(f"{path} is a Git LFS pointer, not the weights: run `git lfs pull` in its repository")
    return CheckpointError(f"{path} is cut off or damaged ({error}); download or copy it again")


def check_weights(weights: Weights, architecture: Architecture, head: Mapping[str, Shape], where: str) -> str:
    """The prefix of the decoder's names, after a comparison of all names and shapes with what is computed.

    Args:
        head: names and shapes needed besides the decoder's.

    Raises:
        CheckpointError: weights that are needed are missing or of another shape, or there are some that belong to
            the decoder and would not be used.
    """
    shapes = dict(weights.shapes)
    prefix = "model." if any(name.startswith("model.") for name in shapes) else ""
    needed = {prefix + name: shape for name, shape in decoder_shapes(architecture).items()} | dict(head)
    if architecture.tie_word_embeddings and f"{prefix}embed_tokens.weight" not in shapes and "lm_head.weight" in shapes:
        needed["lm_head.weight"] = needed.pop(f"{prefix}embed_tokens.weight")  # tied, and saved under the other name
    missing = [name for name in needed if name not in shapes]
    unused = [name for name in shapes if name not in needed and not _may_be_left(name)]
    if missing:
        raise CheckpointError(
            f"{where} lacks weights that are needed: {_some(missing)}"
            + (f"; it has others: {_some(unused)}{_remedy(unused)}" if unused else ". Get or save the checkpoint again")
        )
    wrong = [f"{name} {shapes[name]} instead of {shape}" for name, shape in needed.items() if shapes[name] != shape]
    if wrong:
        raise CheckpointError(f"{where} has weights of other shapes than its config.json says: {_some(wrong)}")
    if unused:
        raise CheckpointError(f"{where} has weights unknown to its config.json: {_some(unused)}{_remedy(unused)}")
    return prefix


def decoder_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Names and shapes of the weights of transformers' `Qwen3Model`."""
    one, hidden = architecture, architecture.hidden_size
    queries, keys = one.num_attention_heads * one.head_dim, one.num_key_value_heads * one.head_dim
    rows = {f"{name}_proj": (size, hidden) for name, size in (("q", queries), ("k", keys), ("v", keys))}
    rows["o_proj"] = (hidden, queries)
    layer: dict[str, Shape] = {f"self_attn.{name}.weight": shape for name, shape in rows.items()}
    if one.attention_bias:
        layer |= {f"self_attn.{name}.bias": shape[:1] for name, shape in rows.items()}
    layer |= {f"self_attn.{name}_norm.weight": (one.head_dim,) for name in "qk"}
    layer |= {f"mlp.{name}_proj.weight": (one.intermediate_size, hidden) for name in ("gate", "up")}
    layer |= {"mlp.down_proj.weight": (hidden, one.intermediate_size)}
    layer |= {f"{name}_layernorm.weight": (hidden,) for name in ("input", "post_attention")}
    layers = {f"layers.{i}.{name}": shape for i in range(one.num_hidden_layers) for name, shape in layer.items()}
    return {"embed_tokens.weight": (one.vocab_size, hidden), **layers, "norm.weight": (hidden,)}


def _may_be_left(name: str) -> bool:
    """A language model's head where none is needed, and buffers that are computed anew."""
    return name == "lm_head.weight" or name.endswith("rotary_emb.inv_freq")


def _remedy(names: list[str]) -> str:
    if any("lora_" in name or name.startswith("base_model.") for name in names):
        return ". They are of a PEFT model: merge the adapter (model.merge_and_unload()) and save the result"
    if any(name.startswith(("module.", "_orig_mod.")) for name in names):
        return ". They are of a wrapped model: save the model inside the wrapper (model.module.save_pretrained(folder))"
    return ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
