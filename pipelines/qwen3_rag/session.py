"""One way through the pipeline: models and collection, opened once, with everything that is done with them.

The command line, the agent tools and the services use this class and nothing below it.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Unpack

from llama_index.core.llms import LLM
from llama_index.core.schema import Document

from qwen3_rag.config import RagConfig, load_config
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.errors import ConfigError
from qwen3_rag.ingestion.pipeline import IngestOptions, check_options, ingest, ingest_documents
from qwen3_rag.ingestion.removal import remove_documents
from qwen3_rag.ingestion.report import IngestReport, OnProgress
from qwen3_rag.ingestion.requests import recorded_requests
from qwen3_rag.models import Models, load_models, load_reranker
from qwen3_rag.query.answering import OnToken, answering, as_answer, make_writer
from qwen3_rag.query.description import CollectionDescription, describe_collection
from qwen3_rag.query.engine import make_index
from qwen3_rag.query.filters import Filters, make_filters
from qwen3_rag.query.results import read_passages
from qwen3_rag.query.rows import AnswerResult, DocumentPassages, SearchResult
from qwen3_rag.query.stages import Found, TwoStages, Wishes
from qwen3_rag.store.connect import prepare_folder, require_database
from qwen3_rag.store.opening import open_store
from qwen3_rag.store.vector_store import RagVectorStore


class Session:
    """A knowledge base: fill it, search it, ask it.

    >>> with Session(RagConfig(embed_model="tiny", uri="./kb.db")) as session:
    ...     report = session.ingest(["docs/"])
    ...     print(session.search("How is data stored?").best[0].text)
    ...     print(session.ask("How is data stored?").answer)

    Nothing is opened before it is needed: models and collection at the first call, weights when a text is first
    computed. `ingest` makes a collection that is missing; for everything else a missing one is an error. Questions may
    be put from any number of threads and tasks at once; each may say what it wants other than configured (`Wishes`)::

        session.search("How?", top_n=5, filters={"source": "docs/faq.md"}, instruction="Given ..., retrieve ...")
        await session.asearch("How?", rerank=False)

    Args:
        config: the settings; None reads them from the environment and the configuration file.
        store: an open collection to use. It stays the caller's to close.
        models: models to use instead of the configured ones.
        llm: the language model for answers instead of the configured one.
        scope: filters; the passages of which they do not hold cannot be read through this session, by no call, tool or
            part of it (`store`, `stages`): what a question wishes for only narrows them down. Writing knows no scope.

    Every method may raise `ConfigError` (what the caller can mend) and `UnavailableError` (model, database or language
    model cannot be had).
    """

    def __init__(
        self,
        config: RagConfig | None = None,
        store: RagVectorStore | None = None,
        models: Models | None = None,
        *,
        llm: LLM | None = None,
        scope: Filters = None,
    ) -> None:
        self.config = config if config is not None else load_config()
        self.scope = make_filters(scope)
        """What holds for every passage that can be read; None: all can."""
        self._given, self._store = store, store
        self._models, self._with_reranker = models, models is not None
        self.writer = make_writer(self.config, llm)
        """Writes the answers."""
        self._stages: TwoStages | None = None
        self._closed = False
        self._lock = RLock()

    def open(self, *, create: bool = False, overwrite: bool = False) -> Session:
        """Open models and collection now, so that what is wrong shows here and not at the first question.

        Args:
            create: make the collection when it is missing.
            overwrite: drop it first. Implies `create`.
        """
        with self._lock:
            self._open(create=create, overwrite=overwrite)
            _ = self.stages
        return self

    @property
    def models(self) -> Models:
        """Embedding model, its identity, and the reranker."""
        with self._lock:
            models = self._embedder()
            if not self._with_reranker:
                models = Models(models.embed, models.identity, load_reranker(self.config))
                self._models, self._with_reranker = models, True
            return models

    @property
    def store(self) -> RagVectorStore:
        """The open collection, a LlamaIndex vector store: within the scope and to be read, where there is one."""
        with self._lock:
            store = self._store if self._store is not None else self._open()
            return store if self.scope is None else store.scoped(self.scope)

    @property
    def stages(self) -> TwoStages:
        """Both stages as configured, over the collection."""
        with self._lock:
            if self._stages is None:
                store = self.store
                models, config = self.models, self.config
                index = make_index(store, models.embed, self._parser())
                self._stages = TwoStages(index, models.rerank, config.top_k, config.top_n, config.mode)
            return self._stages

    def retrieve(self, question: str, **wishes: Unpack[Wishes]) -> Found:
        """Both stages' LlamaIndex nodes for a question."""
        return self.stages.run(question, **wishes)

    async def aretrieve(self, question: str, **wishes: Unpack[Wishes]) -> Found:
        """The same, awaited."""
        stages = self._stages
        if stages is None:  # opening reads files and waits for the database
            stages = await asyncio.to_thread(lambda: self.stages)
        return await stages.arun(question, **wishes)

    def search(self, question: str, **wishes: Unpack[Wishes]) -> SearchResult:
        """Both stages' passages as rows."""
        return self.retrieve(question, **wishes).to_result()

    async def asearch(self, question: str, **wishes: Unpack[Wishes]) -> SearchResult:
        """The same, awaited."""
        return (await self.aretrieve(question, **wishes)).to_result()

    def ask(self, question: str, *, on_token: OnToken | None = None, **wishes: Unpack[Wishes]) -> AnswerResult:
        """An answer from the best passages, with numbered sources. `on_token` gets its pieces as they are written.

        Raises:
            NoAnswerError: the language model gave none, or no passage was found; its `result` holds the passages.
        """
        return self.answer(self.retrieve(question, **wishes), on_token)

    async def aask(self, question: str, *, on_token: OnToken | None = None, **wishes: Unpack[Wishes]) -> AnswerResult:
        """The same, awaited."""
        return await self.aanswer(await self.aretrieve(question, **wishes), on_token)

    def answer(self, found: Found, on_token: OnToken | None = None) -> AnswerResult:
        """The answer to a question whose passages are found already."""
        with answering(self.config, found):
            return as_answer(found, self.writer.write(found.query, found.best, on_token))

    async def aanswer(self, found: Found, on_token: OnToken | None = None) -> AnswerResult:
        """The same, awaited."""
        with answering(self.config, found):
            return as_answer(found, await self.writer.awrite(found.query, found.best, on_token))

    def ingest(
        self,
        paths: Sequence[str | Path],
        *,
        overwrite: bool = False,
        adopt: bool = False,
        **options: Unpack[IngestOptions],
    ) -> IngestReport:
        """Bring the collection in line with files and folders; see `qwen3_rag.ingest` for the options.

        Args:
            overwrite: drop the collection and make it anew first.
            adopt: take over a collection that does not say its model, if its vectors are the configured model's.
        """
        check_options(paths, options)  # before anything is dropped
        return ingest(
            paths,
            store=self._open(create=True, overwrite=overwrite, adopt=adopt),
            embed_model=self._embedder().embed,
            parser=self._parser(),
            batch_size=self.config.passages_at_once,
            **options,
        )

    def sync(self, *, on_progress: OnProgress | None = None) -> IngestReport:
        """Bring the collection in line with everything that was ingested into it, each with the options of its last
        ingest, and prune what is gone. Paths that are not there any more keep their passages.

        Raises:
            ConfigError: nothing is recorded of how the collection was filled: by documents, or by an older version.
        """
        report = IngestReport()
        requests = list(recorded_requests(self._open().open_catalog()))
        if not requests:
            raise ConfigError(
                f"nothing is known of the files that collection {self.config.collection!r} was made from; ingest them "
                "once with `qwen3-rag ingest PATH`, and from then on it is"
            )
        for one in requests:
            if os.path.exists(one.path):
                options: Any = {**one.options, "prune": True, "on_progress": on_progress}
                report.add(self.ingest([one.path], **options))
            else:
                report.skipped.append((one.path, "not there any more; its passages stay"))
        return report

    def ingest_documents(self, documents: Iterable[Document]) -> IngestReport:
        """The same for LlamaIndex documents from any reader."""
        return ingest_documents(
            documents,
            store=self._open(create=True),
            embed_model=self._embedder().embed,
            parser=self._parser(),
            batch_size=self.config.passages_at_once,
        )

    def sources(self, prefix: str = "") -> Counter[str]:
        """The documents whose names begin with `prefix`, with the number of their passages."""
        return self.store.count_sources(prefix)

    def show(self, source: str, start: int = 0, count: int | None = None) -> DocumentPassages:
        """Passages of a document in their order, from `start` on; `count` None: to its end."""
        return read_passages(self.store, source, start, count)

    def describe(self) -> CollectionDescription:
        """What the collection holds: keys and values for filters, languages, model, counts, dates."""
        return describe_collection(self.store, self.config, self.models.identity)

    def remove(self, *sources: str) -> IngestReport:
        """Delete documents by their names, or those of folders and files that they lie in."""
        return remove_documents(self._open(), sources)

    def close(self) -> None:
        """Let go of the collection, the lock of a Milvus Lite database included. A closed session stays closed."""
        with self._lock:
            self._closed = True
            if self._store is not None and self._store is not self._given:
                self._store.close()
            self._store = self._stages = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _embedder(self) -> Models:
        """The models, the reranker perhaps not among them: to fill a collection none is needed."""
        with self._lock:
            if self._models is None:
                self._models = load_models(self.config, rerank=False)
            return self._models

    def _open(self, *, create: bool = False, overwrite: bool = False, adopt: bool = False) -> RagVectorStore:
        with self._lock:
            if self._closed:
                raise ConfigError("the session is closed; open another one")
            if self._store is not None and not overwrite:
                return self._store
            if self._given is not None:
                raise ConfigError("overwrite=True needs a store that the session opened itself; give it none")
            # Before the models are looked for: a missing database is the likelier mistake, and the quicker found.
            (prepare_folder if create or overwrite else require_database)(self.config)
            identity = self._embedder().identity
            if self._store is not None:
                self._store.client.close()
            self._stages = None
            store = open_store(self.config, identity, create=create, overwrite=overwrite, adopt=adopt)
            self._store = store
            return store

    def _parser(self) -> PassageParser:
        return PassageParser(chunk_size=self.config.chunk_size, chunk_overlap=self.config.chunk_overlap)
