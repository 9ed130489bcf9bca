"""The local embedding engine."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from qwen3_inference.engines import Progress, Vectors
from qwen3_inference.local.batching import run_distinct
from qwen3_inference.local.checkpoint import Checkpoint, check_dimensions
from qwen3_inference.local.coalescing import Coalescer
from qwen3_inference.local.engine import TorchEngine, cut_documents, raise_for_non_finite
from qwen3_inference.local.settings import LocalSettings
from qwen3_inference.prompts import DEFAULT_INSTRUCTION, check_instruction, query_text
from qwen3_inference.tokenization import PromptTokenizer

if TYPE_CHECKING:
    import torch

    from qwen3_inference.local.decoder import KeyValues
    from qwen3_inference.local.loading import LoadedEmbedder


class TorchEmbeddingEngine(TorchEngine["LoadedEmbedder"]):
    """Qwen3-Embedding with torch in this process; implements `EmbeddingEngine`.

    >>> from qwen3_inference.local.settings import LocalSettings
    >>> engine = TorchEmbeddingEngine(LocalSettings("tiny", "embedding"))
    >>> engine.embed_queries(["How do I bake bread?"], dimensions=64).shape
    (1, 64)
    """

    def __init__(self, settings: LocalSettings) -> None:
        super().__init__(settings)
        self._coalescer: Coalescer[tuple[str | None, int | None]] = Coalescer(
            self._worker, lambda key, queries: self._queries(queries, key[0], key[1], None)
        )

    def embed_queries(
        self,
        queries: Sequence[str],
        *,
        instruction: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """Unit vectors, float32 (queries, dimensions). `instruction`: None is the authors' default, "" is none.

        Raises:
            ValueError: a query is longer than `max_length`; it is never cut.
        """
        return self._worker.run(partial(self._queries, queries, instruction, dimensions), progress)

    async def aembed_queries(
        self,
        queries: Sequence[str],
        *,
        instruction: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """`embed_queries` off the event loop; calls that wait at the same time are computed as one batch."""
        if progress is not None:
            return await self._worker.arun(partial(self._queries, queries, instruction, dimensions), progress)
        return await self._coalescer.submit((instruction, dimensions), queries)

    def embed_documents(
        self, documents: Sequence[str], *, dimensions: int | None = None, progress: Progress | None = None
    ) -> Vectors:
        """Unit vectors, float32 (documents, dimensions). Documents over `max_length` are cut, with one warning."""
        return self._worker.run(partial(self._documents, documents, dimensions), progress)

    async def aembed_documents(
        self, documents: Sequence[str], *, dimensions: int | None = None, progress: Progress | None = None
    ) -> Vectors:
        """`embed_documents` off the event loop."""
        return await self._worker.arun(partial(self._documents, documents, dimensions), progress)

    def _load_model(
        self, checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: "torch.device", dtype: "torch.dtype"
    ) -> "LoadedEmbedder":
        from qwen3_inference.local.loading import load_embedder

        return load_embedder(checkpoint, tokenizer, device, dtype, self.settings.trust_remote_code)

    def _queries(
        self, queries: Sequence[str], instruction: str | None, dimensions: int | None, progress: Progress | None
    ) -> Vectors:
        check_instruction(instruction)
        tokenizer, model = self._loaded()
        task = DEFAULT_INSTRUCTION if instruction is None else instruction
        sequences = [ids + model.end_ids for ids in tokenizer.encode([query_text(query, task) for query in queries])]
        for index, ids in enumerate(sequences):
            if len(ids) > self._max_length:
                raise ValueError(
                    f"query {index} takes {len(ids)} tokens with its instruction, over max_length={self._max_length}; "
                    "a query is never cut: shorten it or raise max_length"
                )
        if not task:
            return self._forward(sequences, dimensions, None, progress)
        # Up to `Query` only: the colon may become one token with the query's first characters. A prompt is tokenised
        # whole and then compared, so one whose ids differ for any other reason is computed whole, and exact.
        shared, prefix = self._prefix(task, tokenizer.encode([query_text("", task).removesuffix(":")])[0])
        if any(ids[: len(shared)] != shared for ids in sequences):
            return self._forward(sequences, dimensions, None, progress)
        return self._forward([ids[len(shared) :] for ids in sequences], dimensions, prefix, progress)

    def _documents(self, documents: Sequence[str], dimensions: int | None, progress: Progress | None) -> Vectors:
        tokenizer, model = self._loaded()
        room = self._max_length - len(model.end_ids)
        kept = cut_documents(tokenizer.encode(documents), room, self._max_length)
        return self._forward([ids + model.end_ids for ids in kept], dimensions, None, progress)

    def _forward(
        self, sequences: list[list[int]], dimensions: int | None, prefix: "KeyValues | None", progress: Progress | None
    ) -> Vectors:
        import torch

        _, model = self._loaded()
        check_dimensions(dimensions, self._hidden_size, self.settings.model)

        def forward(batch: list[Sequence[int]]) -> list[Vectors]:
            with torch.inference_mode():
                hidden = model.decoder.last_hidden(batch, prefix)
                vectors = model.head({"sentence_embedding": hidden})["sentence_embedding"]
                if dimensions is not None:  # cut first, then to unit length again: the order MRL is trained for
                    vectors = torch.nn.functional.normalize(vectors[:, :dimensions], dim=-1)
                return list(vectors.float().cpu().numpy())

        rows = run_distinct(sequences, self.settings.max_batch_tokens, forward, progress)
        vectors = np.stack(rows) if rows else np.zeros((0, dimensions or self._hidden_size), np.float32)
        raise_for_non_finite(vectors, "vector")
        return vectors
