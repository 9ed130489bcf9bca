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
from qwen3_inference.remote.advice import advice
from qwen3_inference.remote.answers import probabilities
from qwen3_inference.remote.background import BACKGROUND
from qwen3_inference.remote.description import Description
from qwen3_inference.remote.engine import RemoteEngine, as_secret
from qwen3_inference.remote.first_use import order_fingerprint
from qwen3_inference.remote.raw import RawScores, ScoreAsking
from qwen3_inference.remote.rerank_dialects import RERANK_DIALECTS
from qwen3_inference.remote.rerank_first_use import DOCUMENTS, QUERY, WrittenPrompts, scores_of_first_use
from qwen3_inference.remote.rerank_inputs import PairInputs, pair_inputs
from qwen3_inference.remote.transport import Endpoint

SCORES = ("probability", "logit")


class RemoteRerankEngine(RemoteEngine):
    """Qwen3-Reranker on a model server; implements `RerankEngine`.

    Args:
        base_url: the server's address; with its path where it has one (`https://host/v1`).
        model: the name the server has for the model.
        dialect: a name in `RERANK_DIALECTS`: "vllm", "sglang", "tei", "llama.cpp", "infinity", "xinference", a hosted
            service's, "qwen3-rag".
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
        self.dialect = RERANK_DIALECTS[dialect]
        self.prompt = self.dialect.checked_prompt(prompt)
        self.way = self.dialect.ways[self.prompt]
        if scores not in SCORES:
            raise ValueError(f"scores={scores!r} must be one of {', '.join(map(repr, SCORES))}")
        self.scores = scores
        self._asking = ScoreAsking(self._post, self.way, model)
        whole = self.dialect.whole_ids
        self._by_ids = ScoreAsking(self._post, self.dialect.ways[whole], model) if whole else None
        endpoint = Endpoint(
            base_url, model, api_key, self.dialect.concurrency if concurrency is None else concurrency, timeout
        )
        super().__init__(
            endpoint,
            RERANKER,
            settings,
            tokenizer=tokenizer,
            needed_for="prompt='tokens'" if self.prompt == "tokens" else None,
            max_length=max_length,
            batch_size=self.dialect.batch_size if batch_size is None else batch_size,
            server_splits=self.dialect.splits_control_tokens,
        )
        self._advice = advice("rerank", settings)
        self._reads_instructions = self.prompt != "server"
        self._first_scores: Scores | None = None

    @property
    def identity(self) -> str:
        """The model's name and a hash of its order of fixed documents, the same at every address; asks once."""
        return f"{self.model_name}@probe:{order_fingerprint(self.first_use())}"

    def first_use(self) -> Scores:
        """The probabilities of a few fixed documents, asked for now where nothing was asked yet.

        Raises:
            EngineResponseError: the server is clearly wrong; the message says in what and how to look closer.
        """
        return BACKGROUND.run(self._first_use)

    def inputs(self, query: str, documents: Sequence[str], *, instruction: str | None = None) -> PairInputs:
        """What goes to the server for these."""
        description = self.describe()
        return self._inputs(query, documents, self._task(instruction, description), description)

    def ask_raw(self, inputs: PairInputs, *, instruction: str | None = None, whole_ids: bool = False) -> RawScores:
        """The server's own answer to one request. `whole_ids`: by the route of the dialect that takes whole prompts."""
        asking = self._by_ids if whole_ids and self._by_ids is not None else self._asking
        task = self._task_for_server(instruction, self._task(instruction, self.describe()))
        return BACKGROUND.run(
            partial(asking, inputs.query, inputs.documents, instruction=task, answer_ids=inputs.answer_ids)
        )

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
        await self._check_instruction_is_read(instruction)
        if documents:
            await self._first_use()
        task = self._task(instruction, description)
        inputs = await asyncio.to_thread(self._inputs, query, documents, task, description)
        return await self._ask_all(inputs, self._task_for_server(instruction, task), progress)

    def _inputs(self, query: str, documents: Sequence[str], task: str, description: Description | None) -> PairInputs:
        return pair_inputs(query, documents, task, description, self._max_length, self.dialect, self.prompt)

    def _task_for_server(self, instruction: str | None, task: str) -> str | None:
        """What goes into the instruction's field; servers' own defaults differ from the authors' by words."""
        if self.prompt != "server" or not self.way.carries_instruction:
            return None
        return instruction if self.dialect.splits_control_tokens else task

    async def _ask_all(self, inputs: PairInputs, task: str | None, progress: Progress | None) -> Scores:
        query = inputs.query

        async def ask(batch: list[Any]) -> Sequence[Any]:
            answer = await self._asking(query, batch, instruction=task, answer_ids=inputs.answer_ids)
            return answer.values

        values = await self._run_distinct(
            inputs.documents, lambda document: len(query) + len(document), ask, "document", progress
        )
        try:
            return probabilities(values, self.scores)
        except EngineResponseError as error:
            self._name_server(error)
            raise

    async def _first_use(self) -> Scores:
        description = await self._description()
        async with self._transport.session.first_use:
            if self._first_scores is None:
                task, prompts = self._task(None, description), None
                if description and self.prompt != "tokens":
                    by_ids, counts = self._by_ids, self.dialect.counts_prompts
                    prompts = WrittenPrompts(description, task, by_ids, counts)
                inputs = await asyncio.to_thread(self._inputs, QUERY, DOCUMENTS, task, description)
                answer = await self._asking(
                    inputs.query,
                    inputs.documents,
                    instruction=self._task_for_server(None, task),
                    answer_ids=inputs.answer_ids,
                )
                try:
                    self._first_scores = await scores_of_first_use(answer, self.scores, prompts, self._advice)
                except EngineResponseError as error:
                    self._name_server(error)
                    raise
        return self._first_scores

    def _task(self, instruction: str | None, description: Description | None) -> str:
        own = description.instruction if description else None
        return next(task for task in (instruction, own, DEFAULT_INSTRUCTION) if task is not None)

    async def _check_instruction_is_read(self, instruction: str | None) -> None:
        """Refuse an instruction that the server has no field for, or that changes no score of its answers."""
        if instruction in (None, DEFAULT_INSTRUCTION) or (self._reads_instructions and instruction):
            return
        if self.prompt != "server":
            return
        here = f"instruction={instruction!r:.80} would not reach the model: "
        if not self.way.carries_instruction:
            raise ValueError(
                f"{here}dialect={self.dialect.name!r} has no field for it; leave it out, or serve the model where the "
                "client writes the prompt (vLLM with prompt='tokens')"
            )
        if not instruction:
            raise ValueError(f"{here}servers take an empty one for none and use their own; write it out")
        async with self._transport.session.first_use:
            if self._reads_instructions:
                return
            inputs = PairInputs(QUERY, DOCUMENTS)
            usual = await self._ask_all(inputs, DEFAULT_INSTRUCTION, None)
            asked = await self._ask_all(inputs, instruction, None)
            self._reads_instructions = bool(np.abs(usual - asked).max() > 1e-6)
        if not self._reads_instructions:
            raise ValueError(
                f"{here}the server at {self._endpoint.base_url} gives the same scores with it and without; its "
                "version or its template ignores the field. Leave it out, or use prompt='tokens' where possible"
            )
