"""What an ingest would cost, before it is done: passages, tokens, hours at the rate of this machine, bytes in Milvus.

Everything is read and cut, nothing is written. The rate is measured: some passages of the corpus are embedded.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import BaseNode, MetadataMode

from qwen3_rag.config import RagConfig
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.sentences import token_count
from qwen3_rag.documents.walk import find_files
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.ingestion.batches import passages_batch
from qwen3_rag.ingestion.pipeline import IngestOptions, check_options
from qwen3_rag.ingestion.reading import cleaned, mark_documents, read_file
from qwen3_rag.ingestion.report import IngestReport, Progress, told
from qwen3_rag.ingestion.roots import names_of
from qwen3_rag.scale.settings import Settings
from qwen3_rag.store.catalog import Catalog, Root, find_catalog
from qwen3_rag.store.collection import collection_info
from qwen3_rag.store.opening import open_store
from qwen3_rag.store.vector_store import RagVectorStore

SAMPLE = 256
"""Passages that are measured at most."""
_FIRST = 16
_ENOUGH = 2.0
"""Seconds after which a measurement is long enough."""
_GROUP = 1_000
NUMBER_BYTES = {"FLOAT_VECTOR": 4, "FLOAT16_VECTOR": 2}
"""Milvus' vector types, with the bytes of a number."""


@dataclass
class Estimate:
    """Counts of an ingest, and what it takes.

    Args:
        passages, kept: all, and those that the collection has.
        tokens: of the passages to embed, by the model's tokenizer on a sample where it can be had, else rough ones.
        tokens_per_second: of one process here; `passages_per_second` the same.
        hours: of `workers` processes of that rate.
        row_bytes: texts and metadata of all passages in Milvus.
        vector_bytes: of all passages, by dimension and by Milvus' type of vector.
    """

    documents: int = 0
    passages: int = 0
    kept: int = 0
    tokens: int = 0
    tokens_per_second: float = 0.0
    passages_per_second: float = 0.0
    workers: int = 1
    hours: float = 0.0
    row_bytes: int = 0
    vector_bytes: dict[str, dict[str, int]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {**vars(self), "skipped": told(self.skipped)}


def estimate_files(
    paths: Sequence[str | Path],
    config: RagConfig,
    settings: Settings | None = None,
    *,
    workers: int = 1,
    **options: Unpack[IngestOptions],
) -> Estimate:
    """What `ingest` of these paths would do, without doing it.

    >>> estimate_files(["docs/"], RagConfig(embed_model="tiny")).passages
    72
    """
    selection, given = check_options(paths, options)
    embedder = (settings or Settings()).embedder_for(config)
    found, tell = Estimate(workers=workers), options.get("on_progress") or (lambda _: None)
    store = _collection(config, embedder.identity)
    try:
        names = names_of(paths, _Unwritten(store), options.get("name"))
        parser = PassageParser(chunk_size=config.chunk_size, chunk_overlap=config.chunk_overlap)
        counter, meet = _Counter(found, store), mark_documents()

        def skip(source: str, reason: str) -> None:
            found.skipped.append((source, reason))

        follow = options.get("follow_links", False)
        listed = find_files(paths, skip, name=names.source, follow_links=follow, selection=selection)
        files = {file.source: file for file in listed}
        size, done = sum(file.size for file in files.values()), 0
        for file in files.values():
            for source, pages in read_file(file, names.root(file.path), given, meet, skip):
                counter.add(parser.get_nodes_from_documents(cleaned(pages, IngestReport())))
                found.documents += bool(pages)
                tell(Progress(done, size, found.passages, source))
            done += file.size
        counter.end()
    finally:
        if store is not None:
            store.close()
    sizes = sorted({*(2**power for power in range(8, 13)), embedder.identity.dimension})
    for dimension in (one for one in sizes if one <= embedder.identity.dimension):
        found.vector_bytes[str(dimension)] = {
            kind: found.passages * dimension * size for kind, size in NUMBER_BYTES.items()
        }
    if counter.sample:
        _measure(found, counter, embedder.make(), config)
    return found


class _Counter:
    """Counts passages, compares them with the collection, and keeps an even sample of those to embed."""

    def __init__(self, found: Estimate, store: RagVectorStore | None) -> None:
        self._found, self._store = found, store
        self._queue: list[BaseNode] = []
        self._chance = random.Random(0)  # noqa: S311
        self.sample: list[str] = []
        self.rough = self.new = 0

    def add(self, nodes: Sequence[BaseNode]) -> None:
        self._queue += nodes
        self._found.passages += len(nodes)
        if len(self._queue) >= _GROUP:
            self.end()

    def end(self) -> None:
        nodes, self._queue = self._queue, []
        held = self._store.held([node.node_id for node in nodes]) if self._store and nodes else {}
        self._found.row_bytes += sum(len(row.encode()) for row in passages_batch(nodes)["row"])
        self._found.kept += len(held)
        for node in nodes:
            if node.node_id not in held:
                self._count(node.get_content(metadata_mode=MetadataMode.EMBED))

    def _count(self, text: str) -> None:
        self.new += 1
        self.rough += token_count(text)
        if len(self.sample) < SAMPLE:
            self.sample.append(text)
        elif (at := self._chance.randrange(self.new)) < SAMPLE:
            self.sample[at] = text


class _Unwritten(Catalog):
    """A collection's roots, to which nothing is added."""

    def __init__(self, store: RagVectorStore | None) -> None:
        self._found = find_catalog(store.client, store.collection_name, store.uid) if store is not None else None

    def roots(self, paths: Sequence[str]) -> dict[str, Root]:
        return self._found.roots(paths) if self._found else {}

    def root_named(self, name: str) -> Root | None:
        return self._found.root_named(name) if self._found else None

    def all_roots(self) -> list[Root]:
        return self._found.all_roots() if self._found else []

    def move(self, root: str, to: str) -> None:
        """Not here."""

    def put_root(self, root: Root, replaced: Root | None = None) -> None:
        """Not here."""


def _collection(config: RagConfig, identity: ModelIdentity) -> RagVectorStore | None:
    """The collection, where there is one."""
    return open_store(config, identity) if collection_info(config) is not None else None


def _measure(found: Estimate, counter: _Counter, model: BaseEmbedding, config: RagConfig) -> None:
    """Embed the sample, or as much of it as takes long enough, and fill in what follows."""
    model.get_text_embedding_batch(counter.sample[:1])  # loads the weights
    some = counter.sample[:_FIRST]
    seconds = _seconds(model, some)
    if seconds < _ENOUGH:
        some = counter.sample
        seconds = _seconds(model, some)
    rough = sum(token_count(text) for text in some)
    tokens = _model_tokens(config, some) or rough
    found.tokens = round(counter.rough * tokens / max(rough, 1))
    found.tokens_per_second = tokens / seconds
    found.passages_per_second = found.tokens_per_second * counter.new / max(found.tokens, 1)
    found.hours = found.tokens / found.tokens_per_second / 3600 / found.workers


def _seconds(model: BaseEmbedding, texts: list[str]) -> float:
    started = time.perf_counter()
    model.get_text_embedding_batch(texts)
    return time.perf_counter() - started


def _model_tokens(config: RagConfig, texts: list[str]) -> int | None:
    """By the configured model's own tokenizer; None where it cannot be had."""
    from qwen3_inference.errors import CheckpointError, HubUnavailableError
    from qwen3_inference.local.checkpoint import open_checkpoint
    from qwen3_inference.tokenization import PromptTokenizer

    name = config.embed_tokenizer if config.embed_url else config.embedder_name
    if name is None:
        return None
    try:
        found = open_checkpoint(name, "embedding", revision=config.embed_revision, cache_folder=config.cache_folder)
        return sum(map(len, PromptTokenizer(found.folder).encode(texts)))
    except (CheckpointError, HubUnavailableError):
        return None
