"""From a model name to a folder: the bundled pair, a folder of the user's, a cache, or a download from the hub."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from qwen3_inference.errors import CheckpointError, HubUnavailableError

TINY = "tiny"
# Weights are read from safetensors only: pickled weights can run code when they are loaded.
_WANTED_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja"]
# What describes a model without being it: tokenizer, prompts, sizes.
_SMALL_FILES = ["*.json", "*.jinja"]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")
# What people call folders of models, and nobody's account on the hub.
_USUAL_FOLDERS = {"model", "models", "checkpoint", "checkpoints", "weights", "output", "outputs", "runs", "data", "tmp"}


def tiny_folder(kind: str) -> Path:
    """The bundled pair: `kind` is "embedding" or "reranker"."""
    return Path(__file__).parent / "tiny" / kind


def local_folder(name: str, kind: str) -> Path | None:
    """The folder that `name` means without asking the hub, or None for a hub name.

    Raises:
        CheckpointError: `name` reads as a path, and there is no such folder; or it is neither path nor hub name.
    """
    if not isinstance(name, str) or not name.strip():
        raise CheckpointError(f"model name {name!r} must be a hub name (Qwen/Qwen3-Embedding-0.6B), a folder or 'tiny'")
    if name == TINY:
        return tiny_folder(kind)
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or name.startswith((".", "~")) or "\\" in name or name.count("/") > 1 or path.exists():
        raise CheckpointError(
            f"{name!r} is not a folder; give a folder with config.json in it, a hub name, or 'tiny'{_seen_from(path)}"
        )
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise CheckpointError(f"{name!r} is neither a folder nor a hub name like Qwen/Qwen3-Embedding-0.6B")
    return None


def find_folder(name: str, kind: str, *, revision: str | None = None, cache_folder: str | None = None) -> Path:
    """The folder of `name`, downloaded where it is a hub name that is in no cache.

    Raises:
        CheckpointError: no such folder, or the hub has no such model.
        HubUnavailableError: the hub cannot be reached, and the model is in no cache.
    """
    return (
        local_folder(name, kind)
        or _cached_elsewhere(name, revision, cache_folder)
        or download(name, revision, cache_folder)
    )


def find_description(name: str, kind: str, *, cache_folder: str | None = None) -> Path:
    """A folder with the model's tokenizer and settings; of a hub name no weights are downloaded.

    Raises:
        CheckpointError: no such folder, or the hub has no such model.
        HubUnavailableError: the hub cannot be reached, and the model is in no cache.
    """
    return local_folder(name, kind) or download(name, None, cache_folder, files=_SMALL_FILES)


def has_weights(folder: Path) -> bool:
    """Whether a folder has weights or an adapter in safetensors, of which there may be too few."""
    return any(folder.glob("*.safetensors"))


def in_hub_cache(folder: Path) -> bool:
    """Whether a folder is a snapshot in a hub cache; its name is then the commit."""
    return folder.parent.name == "snapshots"


def other_caches() -> Iterator[tuple[str, Path]]:
    """The caches of sentence-transformers and of LlamaIndex's HuggingFace classes: how they are set, where they are."""
    import platformdirs

    if home := os.environ.get("SENTENCE_TRANSFORMERS_HOME"):
        yield "SENTENCE_TRANSFORMERS_HOME", Path(home)
    default = platformdirs.user_cache_dir("llama_index")
    yield "LLAMA_INDEX_CACHE_DIR", Path(os.environ.get("LLAMA_INDEX_CACHE_DIR") or default)


def _cached_elsewhere(name: str, revision: str | None, cache_folder: str | None) -> Path | None:
    """The model in another library's cache, where the hub's own cache does not have it and none is named."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    caches = [None, *(folder for _, folder in other_caches() if folder.is_dir())]
    if cache_folder is not None or len(caches) == 1:
        return None
    for cache in caches:
        try:
            found = Path(snapshot_download(name, revision=revision, cache_dir=cache, local_files_only=True))
        except (LocalEntryNotFoundError, OSError, ValueError):
            continue
        if has_weights(found):  # in the hub's own cache: the download then looks for a newer revision
            return None if cache is None else found
    return None


def download(
    name: str, revision: str | None, cache_folder: str | None, *, files: Sequence[str] = _WANTED_FILES
) -> Path:
    """The model's snapshot in the hub's cache, brought up to date where the hub can be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision!r}" if revision else ""
    try:
        return Path(snapshot_download(name, revision=revision, cache_dir=cache_folder, allow_patterns=list(files)))
    except HFValidationError as error:
        raise CheckpointError(f"{name!r} is not a valid hub name: {error}") from error
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise CheckpointError(
            f"the hub has no readable model {name!r}{at}: check the name and your access; a folder {name!r} is not "
            f"there either{_seen_from(Path(name))}"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        _raise_for_folder(name, error)
        cache = cache_folder or os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME") or "~/.cache/huggingface"
        others = ", ".join(f"${variable}: {folder}" for variable, folder in other_caches())
        raise HubUnavailableError(
            f"{name!r}{at} is not in the cache ({cache}), and the model hub cannot be reached. Either download it on a "
            f"machine with access (hf download {name} --local-dir FOLDER) and give the folder's path as the model, "
            f"or name the cache it is in with cache_folder= (looked at as well: {others}), or try things out with the "
            f"small bundled model 'tiny'. If a folder is meant: there is none of that name{_seen_from(Path(name))}"
        ) from error


def _raise_for_folder(name: str, error: Exception) -> None:
    """A mistyped folder with one slash in it looks like a hub name; its first part tells."""
    first, slash, _ = name.partition("/")
    if slash and (first.lower() in _USUAL_FOLDERS or Path(first).is_dir()):
        raise CheckpointError(
            f"{name!r} is not a folder{_seen_from(Path(name))}, and as a hub name it is not in the cache and the hub "
            "cannot be reached; give the folder's absolute path"
        ) from error


def _seen_from(path: Path) -> str:
    return "" if path.is_absolute() else f" (seen from {Path.cwd()})"
