"""The model itself, computed here: what every fault would have given, to be held against what a server gives."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qwen3_inference.local.batching import run_distinct
from qwen3_inference.local.checkpoint import Checkpoint
from qwen3_inference.local.modules import EMBEDDING, RERANKER
from qwen3_inference.local.processes import LOADING
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS, LocalSettings
from qwen3_inference.prompts import DEFAULT_INSTRUCTION, query_text
from qwen3_inference.remote.raw import Rows
from qwen3_inference.tokenization import PromptTokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SMALL = 1024
"""Hidden size of the largest model that "auto" computes in float32: 2.4 GB for the 0.6B."""
_USUAL_CUTS = sorted({*(2**power for power in range(4, 16)), *range(500, 8500, 500), *range(512, 8704, 512)})


class EmbeddingReference:
    """An embedder's weights.

    Args:
        model: a folder, a hub name or "tiny".
        dtype: "auto" is float32 up to the 0.6B, and what the hardware has for larger ones.

    Raises:
        CheckpointError: not an embedder that can be run here.
        HubUnavailableError: it is in no cache, and the hub cannot be reached.
    """

    def __init__(self, model: str, *, device: str | None = None, dtype: str = "auto") -> None:
        from qwen3_inference.local.loading import load_embedder

        self.model = model
        self._checkpoint, self.tokenizer, loaded = _load(load_embedder, model, EMBEDDING, device, dtype)
        self._head, self._decoder, self.end_ids = loaded.head, loaded.decoder, loaded.end_ids
        self.query_prompt = loaded.query_prompt or query_text("", DEFAULT_INSTRUCTION)
        self.document_prompt = loaded.document_prompt
        self._states: dict[tuple[int, ...], Tensor] = {}  # mean and max pooling read the same ones, of every prefix

    @property
    def width(self) -> int:
        return self._checkpoint.largest_dimension

    def vectors(self, sequences: Sequence[Sequence[int]], pooling: str = "last") -> Rows:
        """Rows (sequences, width) where the hidden states are read by `pooling`."""
        if pooling == "last":
            hidden = self._last(sequences)
        elif pooling == "cls":
            hidden = self._last([ids[:1] for ids in sequences])
        else:  # in a causal model a position's state is the last one of what it ends
            import torch

            read: Callable[[Tensor], Tensor] = (
                (lambda states: states.mean(0)) if pooling == "mean" else (lambda states: states.amax(0))
            )
            hidden = torch.stack([read(self._last([ids[: end + 1] for end in range(len(ids))])) for ids in sequences])
        return _rows(self._head(hidden))

    def cut_vectors(self, ids: Sequence[int], cuts: Iterable[int]) -> dict[int, Rows]:
        """Vectors of a long text cut at each of `cuts` and at the usual numbers of tokens: rows with the end token and
        without it, (2, width)."""
        places = sorted(cut for cut in {*cuts, *_USUAL_CUTS} if 2 <= cut < len(ids))
        found, prefix, done = {}, None, 0
        for place in places:
            prefix, done = self._decoder.prefill(ids[done : place - 1], prefix), place - 1
            hidden = self._decoder.last_hidden([self.end_ids, ids[done:place]], prefix)
            found[place] = _rows(self._head(hidden))
        return found

    def _last(self, sequences: Sequence[Sequence[int]]) -> "Tensor":
        import torch

        wanted = [tuple(ids) for ids in sequences]
        missing = [ids for ids in dict.fromkeys(wanted) if ids not in self._states]
        states = run_distinct(missing, DEFAULT_MAX_BATCH_TOKENS, lambda batch: list(self._decoder.last_hidden(batch)))
        self._states.update(zip(missing, states, strict=True))
        return torch.stack([self._states[ids] for ids in wanted])


class RerankReference:
    """A reranker's weights; arguments and errors as of EmbeddingReference."""

    def __init__(self, model: str, *, device: str | None = None, dtype: str = "auto") -> None:
        from qwen3_inference.local.loading import load_reranker

        self.model = model
        _, self.tokenizer, loaded = _load(load_reranker, model, RERANKER, device, dtype)
        self._row, self._decoder = loaded.logit_row, loaded.decoder
        self.task = loaded.instruction or DEFAULT_INSTRUCTION

    def logits(self, sequences: Sequence[Sequence[int]]) -> Rows:
        """logit(yes) - logit(no) behind each sequence, (sequences,)."""

        def forward(batch: list[Sequence[int]]) -> list[float]:
            found: list[float] = (self._decoder.last_hidden(batch) @ self._row).tolist()
            return found

        return np.array(run_distinct(sequences, DEFAULT_MAX_BATCH_TOKENS, forward), dtype=np.float64)


def _load(
    load: Callable[[Checkpoint, PromptTokenizer, "torch.device", "torch.dtype"], Any],
    model: str,
    kind: str,
    device: str | None,
    dtype: str,
) -> tuple[Checkpoint, PromptTokenizer, Any]:
    settings = LocalSettings(model, kind, device=device, dtype=dtype)
    settings.check()
    checkpoint = settings.open()
    with LOADING.held():
        from qwen3_inference.local.devices import resolve_device, resolve_dtype

        where = resolve_device(device)
        exact = dtype == "auto" and checkpoint.architecture.hidden_size <= _SMALL
        tokenizer = PromptTokenizer(checkpoint.tokenizer_folder)
        return (
            checkpoint,
            tokenizer,
            load(checkpoint, tokenizer, where, resolve_dtype("float32" if exact else dtype, where)),
        )


def _rows(vectors: "Tensor") -> Rows:
    return np.asarray(vectors.double().cpu().numpy())
