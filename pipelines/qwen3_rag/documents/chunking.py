"""Documents to passages: Markdown at its headings, everything within a size that models and Milvus accept.

`PassageParser` is a LlamaIndex node parser around `SentenceSplitter`. Its own part is to keep sections and code blocks
whole, to repeat the heading over the pieces of a long section, and to give every passage an id made from its content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.node_parser import NodeParser, SentenceSplitter
from llama_index.core.schema import BaseNode, MetadataMode, NodeRelationship, TextNode

from qwen3_rag.documents.formats import cut_of
from qwen3_rag.documents.markdown import Section, sections
from qwen3_rag.documents.readers import LLM_METADATA, MAX_METADATA
from qwen3_rag.scripts import UNSPACED

MAX_BYTES = 60_000
"""Below Milvus' 65,535 bytes for one text, with room for a repeated heading."""
MAX_HEADING_BYTES = 1_000
WHOLE_TOKENS = 8_192
LONG_WORD = 400

_TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]{{1,4}}|[^\w\s]")
_LONG = re.compile(rf"\S{{{LONG_WORD}}}")
_SENTENCE = re.compile(r".+?(?:[.!?…]+[\"')\]»”]*(?=\s)|[。！？]+[」』）]*|\n+|\Z)\s*", re.DOTALL)


def count_tokens(text: str) -> list[str]:
    """Rough tokens, the same for every model: up to 4 letters of a spaced script, one character of an unspaced one.

    The models' own tokenizers would tie passage borders, and with them node ids, to the model in use.

    >>> count_tokens("Milvus 数据库")
    ['Milv', 'us', '数', '据', '库']
    """
    return _TOKEN.findall(text)


def sentences(text: str) -> list[str]:
    """Sentences by Western and CJK punctuation; joined they are the text again. Endless words (base64) are cut too."""
    found = _SENTENCE.findall(text)
    return [s[i : i + LONG_WORD] for s in found for i in range(0, len(s), LONG_WORD if _LONG.search(s) else len(s))]


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
    _splitters: dict[int, SentenceSplitter] = PrivateAttr(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        return "PassageParser"

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any) -> list[BaseNode]:
        return [passage for node in nodes for passage in self._passages(node)]

    def _passages(self, document: BaseNode) -> Iterator[TextNode]:
        """The document's passages, in order. Equal texts are told apart by their count, not by their place, so that a
        paragraph put in front leaves the ids (and the vectors) of all others as they are."""
        seen: dict[str, int] = {}
        for position, (text, extra) in enumerate(self._pieces(document)):
            metadata = {**document.metadata, **extra, "position": position}
            key = json.dumps([text, extra.get("header_path")], ensure_ascii=False)
            seen[key] = seen.get(key, 0) + 1
            identity = f"{document.node_id}\0{seen[key]}\0{key}"
            yield TextNode(
                id_=hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32],
                text=text,
                metadata=metadata,
                excluded_embed_metadata_keys=list(metadata),
                excluded_llm_metadata_keys=[name for name in metadata if name not in LLM_METADATA],
                relationships={NodeRelationship.SOURCE: document.as_related_node_info()},
            )

    def _pieces(self, document: BaseNode) -> Iterator[tuple[str, dict[str, str]]]:
        text = document.get_content(metadata_mode=MetadataMode.NONE)
        cut = cut_of(document.metadata.get("format"))
        if cut != "headings":
            # Of a document that is a passage already, only what no model reads in one go is cut.
            yield from ((piece, {}) for piece in self._fit(text, WHOLE_TOKENS if cut == "whole" else self.chunk_size))
            return
        found = list(sections(text))
        # A heading with nothing under it says nothing that its children's header path does not say.
        for section in [s for s in found if s.has_body] or found:
            path = " > ".join(section.path)[:MAX_METADATA]
            for piece in self._section_pieces(section):
                yield piece, {"header_path": path}

    def _section_pieces(self, section: Section) -> Iterator[str]:
        """The section as one piece, or as pieces of whole blocks, each under the heading."""
        if _fits(section.text, self.chunk_size):
            yield section.text
            return
        heading = section.heading.strip().encode()[:MAX_HEADING_BYTES].decode(errors="ignore")
        room = max(self.chunk_size - len(count_tokens(heading)), self.chunk_size // 2)
        parts = (part for text, is_code in section.blocks for part in self._block_parts(text, is_code, room))
        for piece in _pack(parts, room):
            yield f"{heading}\n{piece}".strip()

    def _block_parts(self, text: str, is_code: bool, room: int) -> Iterator[str]:
        """A code block stays whole up to Milvus' limit; prose over `room` is cut at sentences."""
        block = text.strip("\n")
        yield from _within_bytes([block]) if is_code else self._fit(block, room)

    def _fit(self, text: str, limit: int) -> Iterator[str]:
        yield from [text] if _fits(text, limit) else _within_bytes(self._splitter(limit).split_text(text))

    def _splitter(self, limit: int) -> SentenceSplitter:
        if limit not in self._splitters:
            self._splitters[limit] = SentenceSplitter(
                chunk_size=limit,
                chunk_overlap=min(self.chunk_overlap, limit - 1),
                tokenizer=count_tokens,
                chunking_tokenizer_fn=sentences,
            )
        return self._splitters[limit]


def _fits(text: str, limit: int) -> bool:
    return len(text.encode()) <= MAX_BYTES and len(count_tokens(text)) <= limit


def _pack(parts: Iterable[str], limit: int) -> Iterator[str]:
    """Join neighbouring parts while they fit."""
    piece, tokens = "", 0
    for part in parts:
        if not part.strip():
            continue
        more = len(count_tokens(part))
        if piece and (tokens + more > limit or len(piece.encode()) + len(part.encode()) + 2 > MAX_BYTES):
            yield piece
            piece, tokens = "", 0
        piece = f"{piece}\n\n{part}" if piece else part
        tokens += more
    if piece:
        yield piece


def _within_bytes(parts: Sequence[str]) -> Iterator[str]:
    """Cut what is over MAX_BYTES, never inside a character."""
    for part in parts:
        raw = part.encode()
        while len(raw) > MAX_BYTES:
            head = raw[:MAX_BYTES].decode(errors="ignore")
            yield head
            raw = raw[len(head.encode()) :]
        if raw.strip():
            yield raw.decode()
