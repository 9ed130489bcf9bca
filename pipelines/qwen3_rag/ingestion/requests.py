"""What was ingested, with which options, so that it can be done again as it was: `Session.sync`."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen3_rag.ingestion.roots import absolute
from qwen3_rag.store.catalog import Catalog

_KEPT = ("name", "include", "exclude", "gitignore", "metadata", "follow_links")
"""The options that say what an ingest makes of files."""
_SPECIAL = re.compile(r"([\\*?\[\]!# ])")


@dataclass(frozen=True)
class Request:
    """An ingest of one path. `at` tells what came later."""

    path: str
    options: Mapping[str, Any]
    at: int = 0


def record_requests(catalog: Catalog, paths: Sequence[str | Path], options: Mapping[str, Any]) -> None:
    """Note that these paths are ingested with these options. Writes nothing where that is noted already."""
    kept = {name: value for name in _KEPT if (value := options.get(name)) not in (None, (), [], {})}
    if kept.get("follow_links") is False:
        del kept["follow_links"]
    if kept.get("gitignore") is True:
        del kept["gitignore"]
    plain = json.loads(json.dumps(kept, ensure_ascii=False))
    places = list(dict.fromkeys(absolute(path) for path in paths))
    known = {path: json.loads(text) for path, text in catalog.requests(places)}
    new = [path for path in places if known.get(path, {}).get("options") != plain]
    text = json.dumps({"options": plain, "at": time.time_ns()}, ensure_ascii=False)
    catalog.put_requests(dict.fromkeys(new, text))


def recorded_requests(catalog: Catalog) -> Iterator[Request]:
    """All of them, in their order, each without the paths below it that were ingested by themselves: those have options
    of their own."""
    found = [Request(path, **json.loads(text)) for path, text in catalog.requests()]
    for one in sorted(found, key=lambda request: request.at):
        below = [other.path for other in found if other.path.startswith(one.path.rstrip("/") + "/")]
        patterns = [_pattern(os.path.relpath(path, one.path)) for path in below]
        yield Request(one.path, {**one.options, "exclude": [*one.options.get("exclude", ()), *patterns]}, one.at)


def _pattern(relative: str) -> str:
    """The pattern of `.gitignore` that is this file or folder and no other.

    >>> _pattern("a b/c[1].md")
    '/a\\\\ b/c\\\\[1\\\\].md'
    """
    return "/" + _SPECIAL.sub(r"\\\1", relative)
