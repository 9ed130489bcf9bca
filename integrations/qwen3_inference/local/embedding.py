"""The local embedding engine."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from qwen3_inference.engines import Progress, Vectors
from qwen3_inference.lengths import END_LENGTH, Overlong, find_overlong
from qwen3_inference.local.batching import run_distinct
from qwen3_inference.local.checkpoint import Checkpoint, check_dimensions
from qwen3_inference.local.coalescing import Coalescer
from qwen3_inference.local.engine import TorchEngine, raise_for_non_finite
from qwen3_inference.local.settings import LocalSettings
from qwen3_inference.prompts import check_instruction
from qwen3_inference.sequences import PromptedIds, encode_documents, encode_queries
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
        """Unit vectors, float32 (queries, dimensions). `instruction`: None is the checkpoint's own
        prompt (official ones: the default task), "" is none.

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
        self,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """Unit vectors, float32 (documents, dimensions). Documents over `max_length` are cut, with one warning.

        `prompt` is put before each document as it is; None is the checkpoint's own, which official ones do not have.
        """
        return self._worker.run(partial(self._documents, documents, prompt, dimensions), progress)

    async def aembed_documents(
        self,
        documents: Sequence[str],
        *,
        prompt: str | None = None,
        dimensions: int | None = None,
        progress: Progress | None = None,
    ) -> Vectors:
        """`embed_documents` off the event loop."""
        return await self._worker.arun(partial(self._documents, documents, prompt, dimensions), progress)

    def overlong_documents(self, documents: Sequence[str], *, prompt: str | None = None) -> list[Overlong]:
        """The documents of which `embed_documents` reads only the beginning. No weights are loaded."""
        return self._worker.run(lambda _: self._overlong(documents, prompt))

    def _load_model(
        self, checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: "torch.device", dtype: "torch.dtype"
    ) -> "LoadedEmbedder":
        from qwen3_inference.local.loading import load_embedder

        return load_embedder(checkpoint, tokenizer, device, dtype)

    def _queries(
        self, queries: Sequence[str], instruction: str | None, dimensions: int | None, progress: Progress | None
    ) -> Vectors:
        check_instruction(instruction)
        tokenizer, model = self._loaded()
        ids = encode_queries(tokenizer, queries, instruction, model.query_prompt, model.end_ids, self._max_length)
        return self._forward_behind(ids, dimensions, progress)

    def _documents(
        self, documents: Sequence[str], prompt: str | None, dimensions: int | None, progress: Progress | None
    ) -> Vectors:
        tokenizer, model = self._loaded()
        prompt = model.document_prompt if prompt is None else prompt
        ids = encode_documents(tokenizer, documents, prompt, model.end_ids, self._max_length)
        return self._forward_behind(ids, dimensions, progress)

    def _overlong(self, documents: Sequence[str], prompt: str | None) -> list[Overlong]:
        modules = self._opened().modules
        own = modules.document_prompt if modules else ""
        room = self._max_length - END_LENGTH
        return find_overlong(documents, own if prompt is None else prompt, room, self._opened_tokenizer)

    def _forward_behind(self, ids: PromptedIds, dimensions: int | None, progress: Progress | None) -> Vectors:
        """The vectors of sequences that start with one prompt, whose keys and values are computed once.

        A text whose ids differ from the shared ones, for whatever reason, is computed whole, and exact.
        """
        shared, sequences = ids.shared, ids.sequences
        if not shared or any(row[: len(shared)] != shared for row in sequences):
            return self._forward(sequences, dimensions, None, progress)
        shared, prefix = self._prefix(ids.prompt, shared)
        return self._forward([row[len(shared) :] for row in sequences], dimensions, prefix, progress)

    def _forward(
        self, sequences: list[list[int]], dimensions: int | None, prefix: "KeyValues | None", progress: Progress | None
    ) -> Vectors:
        import torch

        _, model = self._loaded()
        checkpoint = self._opened()
        check_dimensions(dimensions, checkpoint.largest_dimension, self.settings.model)
        length = dimensions or checkpoint.dimension
        is_cut = length < checkpoint.largest_dimension

        def forward(batch: list[Sequence[int]]) -> list[Vectors]:
            with torch.inference_mode():
                vectors = model.head(model.decoder.last_hidden(batch, prefix))
                if is_cut:  # cut first, then to unit length again: the order MRL is trained for
                    vectors = torch.nn.functional.normalize(vectors[:, :length], dim=-1)
                return list(vectors.float().cpu().numpy())

        rows = run_distinct(sequences, self.settings.max_batch_tokens, forward, progress, self._threads())
        vectors = np.stack(rows) if rows else np.zeros((0, length), np.float32)
        raise_for_non_finite(vectors, "vector")
        return vectors
