"""The reranking engine for model servers."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from pydantic import SecretStr

from qwen3_inference.engines import Progress, Scores
from qwen3_inference.errors import EngineResponseError
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH
from qwen3_inference.local.modules import RERANKER
from qwen3_inference.prompts import DEFAULT_INSTRUCTION, check_instruction
from qwen3_inference.remote.answers import in_order, probabilities
from qwen3_inference.remote.background import BACKGROUND
from qwen3_inference.remote.description import Description
from qwen3_inference.remote.engine import RemoteEngine, as_secret
from qwen3_inference.remote.first_use import order_fingerprint
from qwen3_inference.remote.rerank_dialects import RERANK_DIALECTS, RerankDialect, RerankRequest
from qwen3_inference.remote.rerank_inputs import PairInputs, client_inputs, plain_inputs, token_inputs
from qwen3_inference.remote.transport import Endpoint

SCORES = ("probability", "logit")
_QUERY = "How is bread baked?"
_DOCUMENTS = (
    "Knead flour, water, yeast and salt, let the dough rise and bake it in a hot oven.",
    "Bread has been eaten for thousands of years.",
    "A baker's shop opens early in the morning.",
    "Tyres are filled with air to a pressure of two bar.",
    "Cake is baked from butter, sugar, eggs and flour.",
    "The oven of the ceramics studio reaches 1200 degrees.",
)


class RemoteRerankEngine(RemoteEngine):
    """Qwen3-Reranker on a model server; implements `RerankEngine`.

    Args:
        base_url: the server's address; with its path where it has one (`https://host/v1`).
        model: the name the server has for the model.
        dialect: "vllm", "sglang", "tei", "llama.cpp", "infinity", "siliconflow", "dashscope", "deepinfra",
            "fireworks", "qwen3-rag".
        prompt: who writes the reranker's prompt. "tokens": this engine, as ids: exact, and safe from control tokens in
            texts (vllm, sglang); "client": this engine, as text, for a server without a template (vllm, tei,
            infinity); "server": the server, by its template. None: the dialect's, where it has one alone.
        tokenizer: folder or hub name of the model's tokenizer. None: `model`, where that is one.
        api_key: sent as `Authorization: Bearer`, over https or to this machine only.
        max_length: tokens of prompt, query and document together. Documents are cut with a warning; a query that
            leaves no room is an error.
        batch_size: documents of a request; None: what servers of the dialect take.
        concurrency: requests at once, fewer while the server is overloaded; None: what suits the dialect.
        timeout: seconds that a request may take with all its retries.
        scores: what the server gives, "probability" or "logit".

    Raises:
        ValueError: a setting is out of its bounds, or needs a tokenizer where there is none.

    All methods raise:
        EngineUnavailableError: no answer within the timeout.
        EngineResponseError: an answer that cannot be right.
        ValueError: what the caller can mend: a text, a setting, the key, an instruction that does not reach the model.

    >>> from qwen3_inference.remote import RemoteRerankEngine
    >>> RemoteRerankEngine("http://localhost:8080", "reranker", dialect="llama.cpp").prompt
    'server'
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        dialect: str,
        prompt: str | None = None,
        tokenizer: str | None = None,
        api_key: str | SecretStr | None = None,
        max_length: int = DEFAULT_MAX_LENGTH,
        batch_size: int | None = None,
        concurrency: int | None = None,
        timeout: float = 60.0,
        scores: str = "probability",
    ) -> None:
        api_key = as_secret(api_key)
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        if dialect not in RERANK_DIALECTS:
            raise ValueError(
                f"dialect={dialect!r} must be one of {', '.join(map(repr, RERANK_DIALECTS))} (Ollama and LM Studio "
                "have no route for reranking)"
            )
        self._dialect = RERANK_DIALECTS[dialect]
        self.prompt = _checked_prompt(prompt, self._dialect)
        self._way = self._dialect.ways[self.prompt]
        if scores not in SCORES:
            raise ValueError(f"scores={scores!r} must be one of {', '.join(map(repr, SCORES))}")
        self._scores = scores
        endpoint = Endpoint(
            base_url, model, api_key, self._dialect.concurrency if concurrency is None else concurrency, timeout
        )
        super().__init__(
            endpoint,
            RERANKER,
            settings,
            tokenizer=tokenizer,
            needed_for="prompt='tokens'" if self.prompt == "tokens" else None,
            max_length=max_length,
            batch_size=self._dialect.batch_size if batch_size is None else batch_size,
            server_splits=self._dialect.splits_control_tokens,
        )
        self._reads_instructions = self.prompt != "server"
        self._fingerprint: str | None = None

    @property
    def identity(self) -> str:
        """The model's name and a hash of its order of fixed documents, the same at every address; asks once."""
        if self._fingerprint is None:
            self._fingerprint = order_fingerprint(self.score(_QUERY, _DOCUMENTS))
        return f"{self.model_name}@probe:{self._fingerprint}"

    def score(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """Probability of "yes" for each document, float64 (documents,). `instruction=None`: the model's default.

        Raises:
            ValueError: the query leaves no room for a document within `max_length`; it is never cut.
            ValueError: the server would ignore `instruction`.
        """
        return BACKGROUND.run(partial(self._score, query, documents, instruction, progress))

    async def ascore(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """`score` without blocking the event loop."""
        return await BACKGROUND.arun(partial(self._score, query, documents, instruction, progress))

    async def _score(
        self, query: str, documents: Sequence[str], instruction: str | None, progress: Progress | None
    ) -> Scores:
        check_instruction(instruction)
        description = await self._description()
        await self._check_instruction_is_read(instruction, description)
        task = _first(instruction, description.instruction if description else None, DEFAULT_INSTRUCTION)
        inputs = await asyncio.to_thread(self._inputs, query, documents, task, description)
        return await self._ask_all(inputs, self._task_for_server(instruction, task), progress)

    def _inputs(self, query: str, documents: Sequence[str], task: str, description: Description | None) -> PairInputs:
        if found := [words for words in self._dialect.placeholders if words in query]:
            raise ValueError(
                f"the query holds {found[0]!r}, which this server replaces in its template: another would be asked; "
                "write it with a space in between"
            )
        if self.prompt == "tokens" and description:
            return token_inputs(query, documents, task, description, self._max_length)
        if self.prompt == "client":
            return client_inputs(query, documents, task, description, self._max_length)
        dialect = self._dialect
        return plain_inputs(
            query,
            documents,
            task,
            description,
            self._max_length,
            document_tokens=dialect.document_tokens,
            server_splits=dialect.splits_control_tokens,
        )

    def _task_for_server(self, instruction: str | None, task: str) -> str | None:
        """What goes into the instruction's field; servers' own defaults differ from the authors' by words."""
        if self.prompt != "server" or not self._way.carries_instruction:
            return None
        return instruction if self._dialect.splits_control_tokens else task

    async def _ask_all(self, inputs: PairInputs, task: str | None, progress: Progress | None) -> Scores:
        query = list(inputs.query) if isinstance(inputs.query, tuple) else inputs.query

        async def ask(batch: list[Any]) -> Sequence[Any]:
            documents = [list(ids) if isinstance(ids, tuple) else ids for ids in batch]
            request = RerankRequest(self.model_name, query, documents, task, inputs.answer_ids)

            def read(answer: Any) -> list[Any]:
                return in_order(self._way.read(answer), len(batch))

            values: list[Any] = await self._post(self._way.route, self._way.body(request), read)
            return values

        values = await self._run_distinct(
            inputs.documents, lambda document: len(query) + len(document), ask, "document", progress
        )
        try:
            return probabilities(values, self._scores)
        except EngineResponseError as error:
            self._name_server(error)
            raise

    async def _check_instruction_is_read(self, instruction: str | None, description: Description | None) -> None:
        """Refuse an instruction that the server has no field for, or that changes no score of its answers."""
        if instruction in (None, DEFAULT_INSTRUCTION) or (self._reads_instructions and instruction):
            return
        if self.prompt != "server":
            return
        here = f"instruction={instruction!r:.80} would not reach the model: "
        if not self._way.carries_instruction:
            raise ValueError(
                f"{here}dialect={self._dialect.name!r} has no field for it; leave it out, or serve the model where the "
                "client writes the prompt (vLLM with prompt='tokens')"
            )
        if not instruction:
            raise ValueError(f"{here}servers take an empty one for none and use their own; write it out")
        async with self._transport.session.first_use:
            if self._reads_instructions:
                return
            inputs = PairInputs(_QUERY, _DOCUMENTS)
            usual = await self._ask_all(inputs, DEFAULT_INSTRUCTION, None)
            asked = await self._ask_all(inputs, instruction, None)
            self._reads_instructions = bool(np.abs(usual - asked).max() > 1e-6)
        if not self._reads_instructions:
            raise ValueError(
                f"{here}the server at {self._endpoint.base_url} gives the same scores with it and without; its "
                "version or its template ignores the field. Leave it out, or use prompt='tokens' where possible"
            )


def _checked_prompt(prompt: str | None, dialect: RerankDialect) -> str:
    allowed = " or ".join(f"prompt={name!r}" for name in dialect.ways)
    if prompt is None and len(dialect.ways) == 1:
        return next(iter(dialect.ways))
    if prompt is None:
        raise ValueError(
            f"dialect={dialect.name!r} needs {allowed}: a prompt written twice or never gives wrong scores in silence. "
            "'tokens' is exact whatever template the server has"
        )
    if prompt not in dialect.ways:
        raise ValueError(f"prompt={prompt!r} is not possible with dialect={dialect.name!r}; it takes {allowed}")
    return prompt


def _first(*tasks: str | None) -> str:
    return next(task for task in tasks if task is not None)
