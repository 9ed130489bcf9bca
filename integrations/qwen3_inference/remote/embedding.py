"""The embedding engine for model servers."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from pydantic import SecretStr

from qwen3_inference.engines import Progress, Vectors
from qwen3_inference.errors import EngineResponseError
from qwen3_inference.lengths import END_LENGTH, Overlong, find_overlong
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH, check_dimensions
from qwen3_inference.local.modules import EMBEDDING
from qwen3_inference.prompts import check_instruction
from qwen3_inference.remote.advice import advice
from qwen3_inference.remote.answers import unit_vectors
from qwen3_inference.remote.background import BACKGROUND
from qwen3_inference.remote.embedding_dialects import EMBEDDING_DIALECTS
from qwen3_inference.remote.embedding_inputs import Inputs, document_inputs, query_inputs
from qwen3_inference.remote.engine import RemoteEngine, as_secret
from qwen3_inference.remote.first_use import FirstUse, find_out, vector_fingerprint
from qwen3_inference.remote.raw import RawVectors, VectorAsking
from qwen3_inference.remote.transport import Endpoint

SENDS = ("auto", "text", "tokens")


class RemoteEmbeddingEngine(RemoteEngine):
    """Qwen3-Embedding on a model server; implements `EmbeddingEngine`.

    Args:
        base_url: the server's address; with its path where it has one, as for OpenAI's clients (`https://host/v1`).
        model: the name the server has for the model.
        dialect: "openai" (vLLM, SGLang, llama.cpp, Infinity, hosted services), "tei", "ollama", "qwen3-rag". TEI and
            Ollama cut texts in silence when they are asked as "openai".
        tokenizer: folder or hub name of the model's tokenizer. None: `model`, where that is one.
        send: "tokens": ids, exact and safe from control tokens in texts; "text": for servers that take no ids;
            "auto": ids where the first requests show that the server computes them as they are.
        api_key: sent as `Authorization: Bearer`, over https or to this machine only.
        max_length: tokens of a text. Longer documents are cut with a warning, longer queries are an error.
        batch_size: texts of a request; None: what servers of the dialect take.
        concurrency: requests at once, fewer while the server is overloaded; None: what suits the dialect.
        timeout: seconds that a request may take with all its retries.

    Raises:
        ValueError: a setting is out of its bounds, or needs a tokenizer where there is none.

    All methods raise:
        EngineUnavailableError: no answer within the timeout.
        EngineResponseError: an answer that cannot be right.
        ValueError: what the caller can mend: a text, an instruction, a setting, the key.

    >>> from qwen3_inference.remote import RemoteEmbeddingEngine
    >>> RemoteEmbeddingEngine("http://localhost:8000/v1", "Qwen/Qwen3-Embedding-0.6B", api_key="sk-12")
    RemoteEmbeddingEngine(base_url='http://localhost:8000/v1', model='Qwen/Qwen3-Embedding-0.6B', dialect='openai', \
send='auto', api_key=SecretStr('**********'), max_length=8192, timeout=60.0)
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        dialect: str = "openai",
        tokenizer: str | None = None,
        send: str = "auto",
        api_key: str | SecretStr | None = None,
        max_length: int = DEFAULT_MAX_LENGTH,
        batch_size: int | None = None,
        concurrency: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        api_key = as_secret(api_key)
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        if dialect not in EMBEDDING_DIALECTS:
            raise ValueError(f"dialect={dialect!r} must be one of {', '.join(map(repr, EMBEDDING_DIALECTS))}")
        self.dialect = EMBEDDING_DIALECTS[dialect]
        if send not in SENDS:
            raise ValueError(f"send={send!r} must be one of {', '.join(map(repr, SENDS))}")
        if send == "tokens" and not self.dialect.takes_tokens:
            raise ValueError(f"send='tokens' is not possible: servers of dialect={dialect!r} take texts alone")
        endpoint = Endpoint(
            base_url, model, api_key, self.dialect.concurrency if concurrency is None else concurrency, timeout
        )
        super().__init__(
            endpoint,
            EMBEDDING,
            settings,
            tokenizer=tokenizer,
            needed_for="send='tokens'" if send == "tokens" else None,
            max_length=max_length,
            batch_size=self.dialect.batch_size if batch_size is None else batch_size,
            server_splits=self.dialect.writes_prompt,
        )
        self.send = send if self.dialect.takes_tokens else "text"
        self._advice = advice("embed", settings)
        self._asking = VectorAsking(self._post, self.dialect, endpoint.model)
        self._found: FirstUse | None = None

    @property
    def identity(self) -> str:
        """The model's name and a hash of two probe vectors, the same at every address; asks the server once."""
        return f"{self.model_name}@probe:{vector_fingerprint(self.probe_vectors())}"

    def probe_vectors(self) -> Vectors:
        """Unit vectors (2, width) of two fixed texts. Of one model they have cosines of at least 0.99 on any server;
        what is stored with a collection shows when another model answers under an equal name."""
        return BACKGROUND.run(self._first_use).probes

    async def aprobe_vectors(self) -> Vectors:
        """`probe_vectors` without blocking the event loop."""
        return (await BACKGROUND.arun(self._first_use)).probes

    def embed_queries(
        self,
        queries: Sequence[str],
        *,
        instruction: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """Unit vectors, float32 (queries, dimensions). `instruction`: None is the model's own
        prompt (official ones: the default task), "" is none.

        Raises:
            ValueError: a query is longer than `max_length`; it is never cut.
        """
        return BACKGROUND.run(partial(self._queries, queries, instruction, dimensions, progress))

    async def aembed_queries(
        self,
        queries: Sequence[str],
        *,
        instruction: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """`embed_queries` without blocking the event loop."""
        return await BACKGROUND.arun(partial(self._queries, queries, instruction, dimensions, progress))

    def embed_documents(
        self,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """Unit vectors, float32 (documents, dimensions). Documents over `max_length` are cut, with one warning.

        `prompt` is put before each document as it is; None is the model's own, which official ones do not have.
        """
        return BACKGROUND.run(partial(self._documents, documents, prompt, dimensions, progress))

    async def aembed_documents(
        self,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """`embed_documents` without blocking the event loop."""
        return await BACKGROUND.arun(partial(self._documents, documents, prompt, dimensions, progress))

    def overlong_documents(self, documents: Sequence[str], *, prompt: str | None = None) -> list[Overlong]:
        """The documents of which `embed_documents` sends only the beginning; none where no tokenizer tells lengths."""
        return BACKGROUND.run(partial(self._overlong, documents, prompt))

    async def _overlong(self, documents: Sequence[str], prompt: str | None) -> list[Overlong]:
        description = await self._description()
        if description is None:
            return []
        before = description.document_prompt if prompt is None else prompt
        room = self._max_length - END_LENGTH
        return await asyncio.to_thread(find_overlong, documents, before, room, lambda: description.tokenizer)

    async def _queries(
        self, queries: Sequence[str], instruction: str | None, dimensions: int | None, progress: Progress | None
    ) -> Vectors:
        check_instruction(instruction)
        found, description = await self._first_use(), await self._description()
        prepare = partial(query_inputs, queries, instruction, description, self._max_length)
        inputs = await asyncio.to_thread(prepare, found.as_tokens, self.dialect.writes_prompt)
        return await self._embed(inputs, dimensions, progress)

    async def _documents(
        self, documents: Sequence[str], prompt: str | None, dimensions: int | None, progress: Progress | None
    ) -> Vectors:
        found, description = await self._first_use(), await self._description()
        prepare = partial(document_inputs, documents, prompt, description, self._max_length)
        inputs = await asyncio.to_thread(prepare, found.as_tokens, self.dialect.writes_prompt)
        return await self._embed(inputs, dimensions, progress)

    async def _embed(self, inputs: Inputs, dimensions: int | None, progress: Progress | None) -> Vectors:
        found, description = await self._first_use(), await self._description()
        check_dimensions(dimensions, found.width, self.model_name)
        length = dimensions or (description and description.truncate_dim) or found.width

        async def ask(batch: list[Any]) -> Sequence[Any]:
            answer = await self._asking(
                batch,
                role=inputs.role,
                instruction=inputs.instruction,
                as_base64=found.as_base64,
                width=found.width,
            )
            return list(answer.rows)

        rows = await self._run_distinct(inputs.texts, len, ask, inputs.role, progress)
        if not rows:
            return np.zeros((0, length), np.float32)
        try:
            return unit_vectors(np.stack(rows), length)
        except EngineResponseError as error:
            self._name_server(error)
            raise

    def first_use(self) -> FirstUse:
        """What the first requests found out, which are sent now where nothing was asked yet.

        Raises:
            EngineResponseError: the server is clearly wrong; the message says in what and how to look closer.
        """
        return BACKGROUND.run(self._first_use)

    def ask_raw(
        self,
        texts: Sequence[str] | Sequence[list[int]],
        *,
        as_base64: bool = False,
        more: Mapping[str, Any] | None = None,
    ) -> RawVectors:
        """The server's own answer to one request, nothing checked, cut or normalised; `more` goes into the body."""
        return BACKGROUND.run(partial(self._asking, texts, as_base64=as_base64, more=more))

    async def _first_use(self) -> FirstUse:
        description = await self._description()
        async with self._transport.session.first_use:
            if self._found is None:
                try:
                    self._found = await find_out(self._asking, self.send, description, self._advice)
                except EngineResponseError as error:
                    if not str(error).startswith(self._endpoint.base_url):
                        self._name_server(error)
                    raise
        return self._found
