"""Which service holds which database: small files in this user's state folder, for the command line to find it.

Only files count that nobody but this user can have written, and only addresses of this machine: a question, and the
token with it, goes nowhere else unasked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qwen3_rag.addresses import is_loopback, without_password
from qwen3_rag.config import RagConfig


def database_name(config: RagConfig) -> str:
    """The same for the same database, from wherever it is looked at on this machine; tells nothing of its path."""
    place = os.path.realpath(config.uri) if config.is_lite else config.uri.rstrip("/")
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:32]


def announced(config: RagConfig) -> str | None:
    """The address of a service that said it holds the configured database; whether it still does, its `/health` says.

    None where there is none, or where it is surely gone.
    """
    path = _file(config)
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or not _is_private(found) or not _is_private(path.parent.lstat()):
            return None
        said = json.loads(path.read_text(encoding="utf-8"))
        url, pid = said["url"], said["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(url, str) or not is_loopback(url) or not isinstance(pid, int) or not _is_alive(pid):
        return None
    return url


@contextmanager
def announcing(config: RagConfig, url: str) -> Iterator[None]:
    """Around the time in which a service at `url` holds the configured database."""
    path = _file(config)
    text = json.dumps({"url": url, "pid": os.getpid(), "uri": without_password(config.uri)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(f".{os.getpid()}")
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError:  # nobody will find it by itself: --server does
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():  # not another one's, begun since
                path.unlink()


def _file(config: RagConfig) -> Path:
    from platformdirs import user_state_path

    return user_state_path("qwen3-rag") / "services" / f"{database_name(config)}.json"


def _is_private(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
