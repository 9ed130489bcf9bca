"""The local reranking engine."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qwen3_inference.engines import Progress, Scores
from qwen3_inference.local.batching import run_distinct
from qwen3_inference.local.checkpoint import Checkpoint
from qwen3_inference.local.engine import TorchEngine, cut_documents, raise_for_non_finite
from qwen3_inference.local.passages import warn_of_lost_texts
from qwen3_inference.prompts import (
    DEFAULT_INSTRUCTION,
    RERANK_PREFIX,
    RERANK_SUFFIX,
    check_instruction,
    rerank_document_text,
    rerank_instruction_text,
    rerank_query_text,
)
from qwen3_inference.tokenization import PromptTokenizer, check_texts

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

    def _logits(
        self, query: str, documents: Sequence[str], instruction: str | None, progress: Progress | None
    ) -> npt.NDArray[np.float32]:
        check_instruction(instruction)
        tokenizer, model = self._loaded()
        task = next(one for one in (instruction, model.instruction, DEFAULT_INSTRUCTION) if one is not None)
        check_texts([query], "query")
        opening, asked = tokenizer.encode([rerank_instruction_text(task), rerank_query_text(query)])
        texts = tokenizer.encode(documents, rerank_document_text(""))
        suffix = tokenizer.encode_template(RERANK_SUFFIX)
        opening = tokenizer.encode_template(RERANK_PREFIX) + opening
        room = self._max_length - len(opening) - len(asked) - len(suffix)
        if room < 1:
            raise ValueError(
                f"the query takes {len(asked)} tokens and the prompt around it {len(opening) + len(suffix)}, which "
                f"leaves no room for a document in max_length={self._max_length}; a query is never cut: shorten it or "
                "raise max_length"
            )
        if not texts:
            return np.zeros(0, np.float32)
        warn_of_lost_texts(documents, texts, room, tokenizer)
        sequences = [ids + suffix for ids in cut_documents(texts, room, self._max_length)]
        prefix = model.decoder.prefill(asked, self._prefix(task, opening)[1])

        def forward(batch: list[Sequence[int]]) -> list[float]:
            hidden = model.decoder.last_hidden(batch, prefix)
            logits: list[float] = (hidden @ model.logit_row).tolist()
            return logits

        rows = run_distinct(sequences, self.settings.max_batch_tokens, forward, progress)
        logits = np.array(rows, dtype=np.float32)
        raise_for_non_finite(logits, "score")
        return logits


def sigmoid(logits: npt.NDArray[np.float32]) -> Scores:
    """Probability from the logit difference, in float64, where the order survives up to differences of about 36."""
    return np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
