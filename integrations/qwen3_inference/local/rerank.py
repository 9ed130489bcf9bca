"""The local reranking engine."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qwen3_inference.engines import Progress, Scores
from qwen3_inference.local.batching import run_distinct
from qwen3_inference.local.checkpoint import Checkpoint
from qwen3_inference.local.engine import TorchEngine, raise_for_non_finite
from qwen3_inference.local.parallel import side_by_side
from qwen3_inference.prompts import DEFAULT_INSTRUCTION, check_instruction
from qwen3_inference.sequences import encode_pairs
from qwen3_inference.tokenization import PromptTokenizer

if TYPE_CHECKING:
    import torch

    from qwen3_inference.local.loading import LoadedReranker


class TorchRerankEngine(TorchEngine["LoadedReranker"]):
    """Qwen3-Reranker with torch in this process; implements `RerankEngine`.

    >>> from qwen3_inference.local.settings import LocalSettings
    >>> engine = TorchRerankEngine(LocalSettings("tiny", "reranker"))
    >>> scores = engine.score("How do I bake bread?", ["Knead the dough, let it rise and bake it.", "Tyres need air."])
    >>> bool(scores[0] > scores[1])
    True
    """

    def score(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """Probability of "yes" for each document, float64 (documents,). `instruction=None`: the authors' default.

        Raises:
            ValueError: the query leaves no room for a document within `max_length`; it is never cut.
        """
        return sigmoid(self.logits(query, documents, instruction=instruction, progress=progress))

    async def ascore(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        """`score` off the event loop."""
        return sigmoid(await self._worker.arun(partial(self._logits, query, documents, instruction), progress))

    def score_many(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[str]],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> list[Scores]:
        """`score` of each query and its own documents. On a CPU, queries are computed side by side, one core each.

        Raises:
            ValueError: as `score`, or as many lists of documents as queries are not given.
        """
        if len(queries) != len(documents):
            raise ValueError(f"{len(queries)} queries and {len(documents)} lists of documents; give each query its own")
        work = partial(self._many_logits, queries, documents, instruction)
        return [sigmoid(logits) for logits in self._worker.run(work, progress)]

    def logits(
        self,
        query: str,
        documents: Sequence[str],
        *,
        instruction: str | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float32]:
        """The logit of the probability for each document, float32 (documents,): logit(yes) - logit(no)."""
        return self._worker.run(partial(self._logits, query, documents, instruction), progress)

    def _load_model(
        self, checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: "torch.device", dtype: "torch.dtype"
    ) -> "LoadedReranker":
        from qwen3_inference.local.loading import load_reranker

        return load_reranker(checkpoint, tokenizer, device, dtype)

    def _many_logits(
        self,
        queries: Sequence[str],
        documents: Sequence[Sequence[str]],
        instruction: str | None,
        progress: Progress | None,
    ) -> list[npt.NDArray[np.float32]]:
        tasks = [partial(self._logits, *pair, instruction, progress) for pair in zip(queries, documents, strict=True)]
        if self._threads() == 1:
            return [task() for task in tasks]
        # All share one prompt: at worst its prefix is computed by each thread that finds none yet.
        return side_by_side(tasks)

    def _logits(
        self, query: str, documents: Sequence[str], instruction: str | None, progress: Progress | None
    ) -> npt.NDArray[np.float32]:
        check_instruction(instruction)
        tokenizer, model = self._loaded()
        task = next(one for one in (instruction, model.instruction, DEFAULT_INSTRUCTION) if one is not None)
        pairs = encode_pairs(tokenizer, query, documents, task, self._max_length)
        if not pairs.documents:
            return np.zeros(0, np.float32)
        sequences = [ids + pairs.suffix for ids in pairs.documents]
        prefix = model.decoder.prefill(pairs.asked, self._prefix(task, pairs.opening)[1])

        def forward(batch: list[Sequence[int]]) -> list[float]:
            hidden = model.decoder.last_hidden(batch, prefix)
            logits: list[float] = (hidden @ model.logit_row).tolist()
            return logits

        rows = run_distinct(sequences, self.settings.max_batch_tokens, forward, progress, self._threads())
        logits = np.array(rows, dtype=np.float32)
        raise_for_non_finite(logits, "score")
        return logits


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> Scores:
    """Probability from the logit difference, in float64, where the order survives up to differences of about 36."""
    return np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
