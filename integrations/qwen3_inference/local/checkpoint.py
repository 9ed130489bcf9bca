"""What is in a checkpoint folder, and whether it is safe and possible to run, with errors that say what to do."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen3_inference.errors import CheckpointError
from qwen3_inference.hub import download, local_folder

DEFAULT_MAX_LENGTH = 8192
# The published range of the official embedders; other checkpoints are held to 1..hidden_size.
MIN_OFFICIAL_DIMENSIONS = 32
OFFICIAL_DIMENSIONS = {
    "Qwen/Qwen3-Embedding-0.6B": 1024,
    "Qwen/Qwen3-Embedding-4B": 2560,
    "Qwen/Qwen3-Embedding-8B": 4096,
}


@dataclass(frozen=True)
class Checkpoint:
    """A local folder with a Qwen3 model in it and what its config.json says."""

    name: str
    folder: Path
    config: dict[str, Any] = field(repr=False)

    @property
    def hidden_size(self) -> int:
        return int(self.config["hidden_size"])

    @property
    def max_positions(self) -> int:
        return int(self.config.get("max_position_embeddings", 32768))

    @property
    def has_sentence_transformers_files(self) -> bool:
        return (self.folder / "modules.json").is_file()


def open_checkpoint(
    name: str, kind: str, *, revision: str | None = None, cache_folder: str | None = None
) -> Checkpoint:
    """Find the checkpoint `name`, downloading it when it is a hub name that is not in the cache.

    Raises:
        CheckpointError: no such folder, or not a Qwen3 checkpoint with safetensors weights.
        HubUnavailableError: the hub cannot be reached, and the model is not in the cache.
    """
    folder = local_folder(name, kind) or download(name, revision, cache_folder)
    return read_checkpoint(name, folder)


def read_checkpoint(name: str, folder: Path) -> Checkpoint:
    """Check the files of a local checkpoint; loads no weights."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} has no config.json: not a model checkpoint")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model_type = config.get("model_type")
    except (ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a JSON object: {error}") from error
    if model_type != "qwen3":
        raise CheckpointError(f"{folder} holds a model of type {model_type!r}; this package runs 'qwen3' only")
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{folder} has no *.safetensors file; weights are read from safetensors only (pickled weights can run "
            "code). Convert them with model.save_pretrained(folder), which writes safetensors"
        )
    if config.get("hidden_act", "silu") != "silu" or config.get("use_sliding_window"):
        raise CheckpointError(f"{folder} needs hidden_act 'silu' and no sliding window, as all published Qwen3 models")
    return Checkpoint(name, folder, config)


def check_dimensions(dimensions: int | None, hidden_size: int | None, name: str) -> None:
    """Raise ValueError unless the model has vectors of `dimensions`. `hidden_size` is None while it is not known."""
    if dimensions is None:
        return
    official = OFFICIAL_DIMENSIONS.get(name)
    low, high = MIN_OFFICIAL_DIMENSIONS if official else 1, hidden_size or official
    valid = isinstance(dimensions, int) and not isinstance(dimensions, bool) and low <= dimensions
    if not valid or (high is not None and dimensions > high):
        upper = "the model's own dimension" if high is None else str(high)
        raise ValueError(f"dimensions={dimensions!r} must be an integer from {low} to {upper} for {name!r}, or None")


def effective_max_length(max_length: int, checkpoint: Checkpoint) -> int:
    """`max_length`, where the default gives way to a model with fewer positions and an explicit value does not."""
    if max_length > checkpoint.max_positions:
        if max_length == DEFAULT_MAX_LENGTH:
            return checkpoint.max_positions
        raise ValueError(
            f"max_length={max_length} is over the {checkpoint.max_positions} positions of {checkpoint.name!r}; lower it"
        )
    return max_length
