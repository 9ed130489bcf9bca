"""The command that looks closer at a server which the first use refuses."""

import shlex
from collections.abc import Mapping
from typing import Any

_FLAGS = {
    "base_url": "url",
    "model": "model",
    "dialect": "dialect",
    "send": "send",
    "prompt": "prompt",
    "tokenizer": "tokenizer",
}


def verify_command(stage: str, settings: Mapping[str, Any]) -> str:
    """`stage` is "embed" or "rerank"; the key is not in it, which the command reads from the environment.

    >>> verify_command("embed", {"base_url": "http://localhost:8000", "model": "m", "api_key": "sk"})
    'qwen3-rag verify --embed-url http://localhost:8000 --embed-model m'
    """
    options = [
        f"--{stage}-{flag} {shlex.quote(str(settings[name]))}"
        for name, flag in _FLAGS.items()
        if settings.get(name) is not None
    ]
    return " ".join(["qwen3-rag verify", *options])


def advice(stage: str, settings: Mapping[str, Any]) -> str:
    """The end of an error's message."""
    return f"`{verify_command(stage, settings)}` says more, and with --{stage}-weights MODEL most"
