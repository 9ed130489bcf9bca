"""A passage under its headings, as the second stage judges it. What is stored and embedded is the passage alone.

Measured on five trees of documentation, an FAQ and two BEIR collections: examples/benchmarks/results/context.md.
"""

from __future__ import annotations

import re

from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

_LINK = re.compile(r"\]\([^()\s]*(?:[ ]\"[^\"]*\")?\)")
_UNDERLINE = re.compile(r"\s*([!-/:-@\[-`{-~])\1*\s*")
_LETTERS = re.compile(r"\w+")


class PassageRerank(Qwen3Rerank):
    """`Qwen3Rerank` that reads passages under their headings."""

    def node_text(self, node: BaseNode) -> str:
        return under_headings(node)


def under_headings(node: BaseNode) -> str:
    """The passage with the way to it in its first line, in place of its own heading. Metadata that the node shows to
    models by itself is not repeated.

    >>> from llama_index.core.schema import TextNode
    >>> known = {"title": "Tea", "header_path": "Kinds > Green"}
    >>> under_headings(TextNode(text="## Green\\nSteep.", metadata=known, excluded_embed_metadata_keys=list(known)))
    'Tea > Kinds > Green\\nSteep.'
    """
    text = node.get_content(metadata_mode=MetadataMode.EMBED)
    title, path = _hidden(node, "title"), _hidden(node, "header_path")
    headings = path.split(" > ") if path else []
    if not headings and (not title or _same(text.split("\n", 1)[0], title)):
        return text
    way = headings if title in ("", *headings) else [title, *headings]
    return "\n".join(filter(None, [" > ".join(way), _without_heading(text, way[-1])]))


def _hidden(node: BaseNode, key: str) -> str:
    value = node.metadata.get(key) if key in node.excluded_embed_metadata_keys else None
    return value if isinstance(value, str) else ""


def _without_heading(text: str, heading: str) -> str:
    """The text behind its heading, where it begins with it: in one line, or with a line under it, or one above too."""
    lines = text.split("\n", 3)
    at = 1 if len(lines) > 1 and _UNDERLINE.fullmatch(lines[0]) and _same(lines[1], heading) else 0
    if not _same(lines[at], heading):
        return text
    at += 1
    if at < len(lines) and _UNDERLINE.fullmatch(lines[at]):
        at += 1
    return "\n".join(lines[at:]).lstrip("\n")


def _same(line: str, heading: str) -> bool:
    """Whether they have the same words: the line may have marks and links that the heading has not."""
    return _LETTERS.findall(_LINK.sub("]", line)) == _LETTERS.findall(heading)
