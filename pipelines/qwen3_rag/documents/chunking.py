"""Documents to passages: Markdown at its headings, everything within a size that models and Milvus accept.

`PassageParser` is a LlamaIndex node parser. It keeps sections, code and tables whole where they fit, repeats the
heading over the pieces of a long section, and gives every passage an id made from its content. Its time is linear in
the size of a document, and no text that can be seen is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, groupby
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, Document, MetadataMode, NodeRelationship, TextNode

from qwen3_rag.documents.blocks import MAX_BYTES, fits, split_code, split_table, within_bytes
from qwen3_rag.documents.formats import cut_of
from qwen3_rag.documents.invisible import visible
from qwen3_rag.documents.markdown import Block, Section, sections
from qwen3_rag.documents.metadata import check_text, storable
from qwen3_rag.documents.readers import LLM_METADATA, MAX_METADATA
from qwen3_rag.documents.rst import rst_sections
from qwen3_rag.documents.sentences import count_tokens, sentences, split_text, token_count
from qwen3_rag.errors import ConfigError

__all__ = ["MAX_BYTES", "PassageParser", "count_tokens", "sentences"]

MAX_HEADING_BYTES = 1_000
MAX_SHOWN = 150
"""Letters of a heading that its children's header path, of MAX_METADATA for all levels together, shows in full."""
WHOLE_TOKENS = 8_192


class PassageParser(NodeParser):
    """See the module docstring.

    >>> from qwen3_rag.documents.readers import make_document
    >>> document = make_document("# Tea\\n\\n## Green\\nSteep at 80 degrees.", "tea.md", "markdown")
    >>> [(n.text, n.metadata["header_path"]) for n in PassageParser().get_nodes_from_documents([document])]
    [('## Green\\nSteep at 80 degrees.', 'Tea > Green')]
    """

    chunk_size: int = Field(default=512, description="Largest passage in rough tokens (see count_tokens).")
    chunk_overlap: int = Field(default=48, description="Rough tokens shared by two pieces of one long text.")
    include_prev_next_rel: bool = Field(default=False, description="Off: neighbours change when a passage does.")

    @classmethod
    def class_name(cls) -> str:
        return "PassageParser"

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any) -> list[BaseNode]:
        # Documents that follow each other under one id are the pages of one.
        pages = groupby(nodes, key=lambda node: node.node_id)
        return [passage for _, document in pages for passage in self._passages(document)]

    def _postprocess_parsed_nodes(self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]) -> list[BaseNode]:
        """Without core's search for each passage's place in its document: it takes time in the square of the size."""
        return super()._postprocess_parsed_nodes(nodes, {})

    def _passages(self, pages: Iterable[BaseNode]) -> Iterator[TextNode]:
        """A document's passages, in order. Ids are made of source, text and header path; equal ones are told apart by
        their count, not by their place, so that a paragraph put in front leaves the ids (and the vectors) of all others
        as they are."""
        seen: dict[str, int] = {}
        position = count()
        above: list[tuple[int, str]] = []
        parsed = [(page, text := _checked_text(page), self._sections(page, text, above)) for page in pages]
        headings = [one for _, _, found in parsed for one in found or () if one.level and one.path]
        title = next(({"title": one.path[-1]} for one in headings if one.level == 1), {})
        for page, whole, found in parsed:
            given = storable(page.metadata, page.node_id)
            if isinstance(given.get("title"), str):
                given["title"] = visible(given["title"])
            # Made once: it hashes the whole document.
            source = page.source_node or page.as_related_node_info()
            source = source.model_copy(update={"metadata": given})
            # What stands before the first heading stands under the title, where the document gives one by itself.
            top = str(given.get("title") or "") if headings else ""
            for text, extra in self._pieces(page, whole, found, top):
                if not text.strip():
                    continue
                metadata = {"position": next(position), **title, **given, **extra}
                key = json.dumps([text, extra.get("header_path")], ensure_ascii=False)
                seen[key] = seen.get(key, 0) + 1
                identity = f"{page.node_id}\0{seen[key]}\0{key}"
                yield TextNode(
                    id_=hashlib.sha256(identity.encode()).hexdigest()[:32],
                    text=text,
                    metadata=metadata,
                    excluded_embed_metadata_keys=list(metadata),
                    excluded_llm_metadata_keys=[name for name in metadata if name not in LLM_METADATA],
                    relationships={NodeRelationship.SOURCE: source},
                )

    def _sections(self, document: BaseNode, text: str, above: list[tuple[int, str]]) -> list[Section] | None:
        """The document at its headings; None where it is not cut there. `above`: the headings of the pages before."""
        cut = cut_of(document.metadata.get("format"))
        if cut == "headings":
            is_mdx = str(document.metadata.get("source", "")).lower().endswith(".mdx")
            return list(sections(text, is_mdx, above))
        return list(rst_sections(text)) if cut == "rst" else None

    def _pieces(
        self, document: BaseNode, text: str, found: list[Section] | None, title: str
    ) -> Iterator[tuple[str, dict[str, str]]]:
        if found is None:
            # Of a document that is a passage already, only what no model reads in one go is cut.
            is_passage = cut_of(document.metadata.get("format")) == "whole"
            yield from ((piece, {}) for piece in self._fit(text, WHOLE_TOKENS if is_passage else self.chunk_size))
            return
        for section in _telling(found):
            path = (" > ".join(section.path) or title)[:MAX_METADATA]
            for piece in self._section_pieces(section):
                yield piece, {"header_path": path}

    def _section_pieces(self, section: Section) -> Iterator[str]:
        """The section as one piece, or as pieces of whole blocks, each under the heading."""
        if not section.text or fits(section.text, self.chunk_size):
            yield from filter(None, [section.text])
            return
        full = section.heading.strip()
        heading = full.encode()[:MAX_HEADING_BYTES].decode(errors="ignore")
        room = max(self.chunk_size - token_count(heading), self.chunk_size // 2)
        blocks = section.blocks if heading == full else [Block(full, "prose"), *section.blocks]
        for piece in _pack(chain.from_iterable(self._block_parts(block, room) for block in blocks), room):
            yield f"{heading}\n{piece}".strip()

    def _block_parts(self, block: Block, room: int) -> Iterable[str]:
        """The block, or what it is cut to: code at line ends, a table between rows, prose over `room` at sentences."""
        text = block.text.strip("\n")
        if block.kind == "prose":
            return self._fit(text, room)
        split = split_code if block.kind == "code" else split_table
        return chain.from_iterable(map(within_bytes, split(text, room)))

    def _fit(self, text: str, limit: int) -> Iterator[str]:
        if fits(text, limit):
            yield text
        else:
            overlap = min(self.chunk_overlap, limit - 1)
            yield from chain.from_iterable(map(within_bytes, split_text(text, limit, overlap)))


def _checked_text(document: BaseNode) -> str:
    try:
        return visible(check_text(document.get_content(metadata_mode=MetadataMode.NONE)))
    except ValueError as error:
        raise ConfigError(f"document {document.node_id!r}: its text {error}") from None


def _telling(found: list[Section]) -> list[Section]:
    """Without the headings that have nothing under them but smaller headings: those show them in their header path.
    A document of headings alone keeps them all."""
    if not any(section.has_body for section in found):
        return found
    below = [*(len(section.path) for section in found[1:]), 0]
    return [
        section
        for section, next_depth in zip(found, below, strict=True)
        if section.has_body or next_depth <= len(section.path) or len(section.heading) > MAX_SHOWN
    ]


def _pack(parts: Iterable[str], limit: int) -> Iterator[str]:
    """Join neighbouring parts while they fit."""
    piece: list[str] = []
    tokens = size = 0
    for part in parts:
        if not part.strip():
            continue
        more, weight = token_count(part), len(part.encode()) + 2
        if piece and (tokens + more > limit or size + weight > MAX_BYTES):
            yield "\n\n".join(piece)
            piece, tokens, size = [], 0, 0
        piece.append(part)
        tokens += more
        size += weight
    if piece:
        yield "\n\n".join(piece)
