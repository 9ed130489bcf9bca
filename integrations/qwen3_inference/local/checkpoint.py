"""A checkpoint folder: what it is, and whether it is safe and possible to run, with errors that say what to do."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qwen3_inference.errors import CheckpointError
from qwen3_inference.hub import find_folder, has_weights, in_hub_cache, local_folder
from qwen3_inference.local.adapters import Adapter, read_adapter
from qwen3_inference.local.architecture import Architecture, read_architecture
from qwen3_inference.local.dense import dense_sizes
from qwen3_inference.local.heads import check_head, head_shapes
from qwen3_inference.local.modules import EMBEDDING, RERANKER, Modules, read_json, read_modules
from qwen3_inference.local.weights import check_weights, open_weights
from qwen3_inference.tokenization import appends_end

DEFAULT_MAX_LENGTH = 8192
# The published range of the official embedders; other checkpoints are held to 1 and their own dimension.
MIN_OFFICIAL_DIMENSIONS = 32
OFFICIAL_DIMENSIONS = {
    "Qwen/Qwen3-Embedding-0.6B": 1024,
    "Qwen/Qwen3-Embedding-4B": 2560,
    "Qwen/Qwen3-Embedding-8B": 4096,
}
_SAMPLE = 1 << 20
_KINDS = {EMBEDDING: "an embedder", RERANKER: "a reranker"}
_CLASSES = {EMBEDDING: "Qwen3Embedding", RERANKER: "Qwen3Rerank"}


@dataclass(frozen=True)
class Checkpoint:
    """A local folder with a Qwen3 model in it, whose files have been looked at; no weights are loaded."""

    name: str
    kind: str
    folder: Path
    architecture: Architecture
    modules: Modules | None
    adapter: Adapter | None = None
    base: "Checkpoint | None" = None
    """The model that an adapter changes."""

    @property
    def weights_folder(self) -> Path:
        return self.modules.transformer if self.modules else self.folder

    @property
    def tokenizer_folder(self) -> Path:
        """Where tokenizer.json is; an adapter may leave it to its base."""
        if self.base is not None and not (self.weights_folder / "tokenizer.json").is_file():
            return self.base.tokenizer_folder
        return self.weights_folder

    @cached_property
    def dimension(self) -> int:
        """The length of an embedder's vectors where none is asked for."""
        if self.modules is None:
            return self.architecture.hidden_size
        return self.modules.truncate_dim or self.largest_dimension

    @cached_property
    def largest_dimension(self) -> int:
        """The length of an embedder's whole vectors."""
        dense = self.modules.dense if self.modules else ()
        return dense_sizes(dense, self.architecture.hidden_size)[-1]

    @property
    def max_positions(self) -> int:
        return self.architecture.max_position_embeddings

    @cached_property
    def revision(self) -> str:
        """Who this is: the hub's commit, or for other folders `sha256:` and a fingerprint of the files."""
        own = self.folder.name if in_hub_cache(self.folder) else fingerprint(self.folder)
        return f"{own}+{self.base.revision}" if self.base else own


def open_checkpoint(
    name: str, kind: str, *, revision: str | None = None, cache_folder: str | None = None
) -> Checkpoint:
    """Find the checkpoint `name`, downloading it when it is a hub name that is in no cache.

    Raises:
        CheckpointError: no such folder, or not a Qwen3 checkpoint of that kind with safetensors weights.
        HubUnavailableError: the hub cannot be reached, and the model is in no cache.
    """
    folder = find_folder(name, kind, revision=revision, cache_folder=cache_folder)
    base = None
    if adapter := read_adapter(folder):
        base = open_checkpoint(adapter.base, kind, revision=adapter.base_revision, cache_folder=cache_folder)
    return read_checkpoint(name, folder, kind, base)


def local_checkpoint(name: str, kind: str) -> Checkpoint | None:
    """The checkpoint where it is on this machine by its name, None where the hub has to be asked."""
    folder = local_folder(name, kind)
    if folder is None:
        return None
    base = None
    if adapter := read_adapter(folder):
        base = local_checkpoint(adapter.base, kind)
        if base is None:
            return None
    return read_checkpoint(name, folder, kind, base)


def read_checkpoint(name: str, folder: Path, kind: str, base: Checkpoint | None = None) -> Checkpoint:
    """Look at all files of a checkpoint but the weights' values. `base` is the model under an adapter."""
    modules = read_modules(folder)
    if base is not None:
        found = Checkpoint(name, kind, folder, base.architecture, modules or base.modules, read_adapter(folder), base)
    else:
        home = modules.transformer if modules else folder
        _require_config(folder, home)
        config = read_json(home / "config.json", dict) | (modules.overrides if modules else {})
        found = Checkpoint(name, kind, folder, read_architecture(config, str(home / "config.json")), modules)
    _check_kind(found)
    if kind == RERANKER:
        check_head(found.architecture, modules, str(found.folder))
    else:
        dense_sizes(modules.dense if modules else (), found.architecture.hidden_size)
    if base is None:
        weights = open_weights(found.weights_folder)
        shapes = head_shapes(found.architecture, kind, weights.shapes)
        check_weights(weights, found.architecture, shapes, str(found.weights_folder))
    return found


def _require_config(folder: Path, home: Path) -> None:
    if (home / "config.json").is_file() and (has_weights(home) or not in_hub_cache(folder)):
        return
    if in_hub_cache(folder):
        files = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise CheckpointError(
            f"the hub's cache has only a part of the model in {folder} ({files}), no weights: the download was broken "
            "off, or only the tokenizer was fetched. Fetch it whole where the hub can be reached: `hf download NAME`"
        )
    raise CheckpointError(f"{home} has no config.json: not a model checkpoint, or not a whole one")


def _check_kind(checkpoint: Checkpoint) -> None:
    """Refuse a reranker given as embedder and the other way round, by what the files say themselves."""
    found, why = _kind(checkpoint)
    if found != checkpoint.kind:
        raise CheckpointError(
            f"{checkpoint.folder} is {_KINDS[found]} ({why}), not {_KINDS[checkpoint.kind]}; use it with "
            f"{_CLASSES[found]}"
        )


def _kind(checkpoint: Checkpoint) -> tuple[str, str]:
    if checkpoint.modules:
        return checkpoint.modules.kind, "by its modules.json"
    if checkpoint.architecture.is_classifier:
        return RERANKER, f"its architecture is {checkpoint.architecture.name}"
    path = checkpoint.tokenizer_folder / "tokenizer.json"
    if not path.is_file():  # reported when the tokenizer is loaded
        return checkpoint.kind, ""
    if appends_end(read_json(path, dict)):
        return EMBEDDING, "its tokenizer appends <|endoftext|>"
    return RERANKER, "its tokenizer appends nothing to a text"


def check_dimensions(dimensions: int | None, largest: int | None, name: str) -> None:
    """Raise ValueError unless the model has vectors of `dimensions`. `largest` is None while it is not known."""
    if dimensions is None:
        return
    official = OFFICIAL_DIMENSIONS.get(name)
    low, high = MIN_OFFICIAL_DIMENSIONS if official else 1, largest or official
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


def fingerprint(folder: Path) -> str:
    """`sha256:` of a checkpoint's files; of large ones, the size, the beginning and the end."""
    digest = hashlib.sha256()
    for path in _identifying_files(folder):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}:{size}:".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            if size > _SAMPLE:
                file.seek(max(_SAMPLE, size - _SAMPLE))
                digest.update(file.read())
    return f"sha256:{digest.hexdigest()[:16]}"


def _identifying_files(folder: Path) -> list[Path]:
    """The files beside config.json, and those of dense layers."""
    suffixes = (".json", ".safetensors", ".txt")
    own = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    dense = sorted(path for path in folder.glob("*_Dense/*") if path.suffix in suffixes)
    return own + dense
