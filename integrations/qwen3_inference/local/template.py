"""A reranker's own chat template: whether it puts the same words around query and document as `prompts` does."""

from pathlib import Path
from typing import Any

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.modules import read_json
from qwen3_inference.prompts import (
    RERANK_PREFIX,
    RERANK_SUFFIX,
    rerank_document_text,
    rerank_instruction_text,
    rerank_query_text,
)

# Words that no template has, in place of what a user gives.
_TASK, _QUERY, _DOCUMENT = "task-8f14e45f", "query-c9f0f895", "document-45c48cce"


def template_instruction(folder: Path) -> str | None:
    """The instruction of the folder's chat template where none is given; None where it has no template for pairs.

    A template for chats, as every Qwen3 tokenizer has one, says nothing of pairs and is passed over.

    Raises:
        CheckpointError: its words are others than Qwen3-Reranker's.
    """
    template = _template(folder)
    if template is None or "document" not in template:
        return None
    rendered = _render(template, with_task=True)
    if rendered is None:
        return None
    words = _words(_TASK)
    if rendered != words:
        place = next((i for i, (a, b) in enumerate(zip(rendered, words, strict=False)) if a != b), len(words))
        raise CheckpointError(
            f"the chat template in {folder} puts other words around query and document than Qwen3-Reranker's prompt "
            f"(from character {place}: {rendered[place : place + 40]!r} instead of {words[place : place + 40]!r}); the "
            "model would be asked in words it was not trained with"
        )
    default = _render(template, with_task=False) or ""
    before, after = words.split(_TASK)
    if not (default.startswith(before) and default.endswith(after)):
        return None
    return default[len(before) : len(default) - len(after)]


def _words(instruction: str) -> str:
    asked = rerank_instruction_text(instruction) + rerank_query_text(_QUERY) + rerank_document_text(_DOCUMENT)
    return RERANK_PREFIX + asked + RERANK_SUFFIX


def _template(folder: Path) -> str | None:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = read_json(folder / "tokenizer_config.json", dict, optional=True).get("chat_template")
    if isinstance(found, list):  # several, by name
        found = {row.get("name"): row.get("template") for row in found if isinstance(row, dict)}.get("default")
    return found if isinstance(found, str) else None


def _render(template: str, with_task: bool) -> str | None:
    """The prompt for a pair, with contents as texts or as lists of parts; None where the template has no pairs."""
    texts = {"system": _TASK} if with_task else {}
    texts |= {"query": _QUERY, "document": _DOCUMENT}
    flat: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in texts.items()]
    parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in texts.items()]
    for messages in (flat, parts):
        try:
            rendered = _with_messages(template, messages)
        except Exception:  # noqa: S112  a template may fail on roles and contents that it does not know
            continue
        if _QUERY in rendered and _DOCUMENT in rendered and "'text'" not in rendered:
            return rendered
    return None


def _with_messages(template: str, messages: list[dict[str, Any]]) -> str:
    """As transformers renders it, whose import takes a second; it is asked only for what is a dialect of its own."""
    from jinja2.exceptions import TemplateSyntaxError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    plain = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    try:
        return plain.from_string(template).render(messages=messages)
    except TemplateSyntaxError:
        from transformers.utils.chat_template_utils import render_jinja_template

        return str(render_jinja_template([messages], chat_template=template)[0][0])
