"""Where the results of a command are kept until it is done, when no file was named for them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs


def unfinished(kind: str, settings: Mapping[str, Any]) -> Path | None:
    """A file for these settings alone in the user's cache folder, so that the same command finds it again.

    None where that folder cannot be written: then an interrupted run begins anew.
    """
    name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(platformdirs.user_cache_dir("qwen3-rag")) / "unfinished"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / f"{kind}-{name}.jsonl" if os.access(folder, os.W_OK) else None
