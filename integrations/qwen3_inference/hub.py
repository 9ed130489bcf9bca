"""From a model name to a folder: the bundled pair, a folder of the user's, or a download from the hub."""

import os
import re
from pathlib import Path

from qwen3_inference.errors import CheckpointError, HubUnavailableError

TINY = "tiny"
# Weights are read from safetensors only: pickled weights can run code when they are loaded.
_WANTED_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja"]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")


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
        raise CheckpointError(f"{name!r} is not a folder; give a folder with config.json in it, a hub name, or 'tiny'")
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise CheckpointError(f"{name!r} is neither a folder nor a hub name like Qwen/Qwen3-Embedding-0.6B")
    return None


def download(name: str, revision: str | None, cache_folder: str | None) -> Path:
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
        return Path(snapshot_download(name, revision=revision, cache_dir=cache_folder, allow_patterns=_WANTED_FILES))
    except HFValidationError as error:
        raise CheckpointError(f"{name!r} is not a valid hub name: {error}") from error
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise CheckpointError(f"the hub has no readable model {name!r}{at}: check the name and your access") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        cache = cache_folder or os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME") or "~/.cache/huggingface"
        raise HubUnavailableError(
            f"{name!r}{at} is not in the cache ({cache}), and the model hub cannot be reached. Either download it on a "
            f"machine with access (hf download {name} --local-dir FOLDER) and give the folder's path as the model, "
            "or try things out with the small bundled model 'tiny'"
        ) from error
