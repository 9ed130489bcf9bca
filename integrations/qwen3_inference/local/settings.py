"""What it takes to run a checkpoint locally, validated before anything is loaded."""

from dataclasses import dataclass

from qwen3_inference.hub import TINY
from qwen3_inference.local.checkpoint import (
    DEFAULT_MAX_LENGTH,
    Checkpoint,
    local_checkpoint,
    open_checkpoint,
)
from qwen3_inference.local.devices import check_dtype

# One value for all devices. On a CPU packs of 2048 are the fastest (examples/benchmarks/results). On a large GPU the
# 0.6B's products are so short at 2048 rows that starting them bounds the rate: more should help there. No GPU was
# measured.
DEFAULT_MAX_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class LocalSettings:
    """Settings of a local engine. `kind` is "embedding" or "reranker". An engine checks them when it is made."""

    model: str
    kind: str
    max_length: int = DEFAULT_MAX_LENGTH
    device: str | None = None
    dtype: str = "auto"
    revision: str | None = None
    cache_folder: str | None = None
    trust_remote_code: bool = False
    max_batch_tokens: int = DEFAULT_MAX_BATCH_TOKENS

    def check(self) -> None:
        """Look at the values and, where the model is a local folder, at its files; loads nothing.

        Raises:
            ValueError: a setting is out of its bounds.
            CheckpointError: the model is named by a path that holds no Qwen3 checkpoint.
        """
        check_dtype(self.dtype)
        check_positive("max_length", self.max_length)
        check_positive("max_batch_tokens", self.max_batch_tokens)
        self.local_checkpoint()

    def local_checkpoint(self) -> Checkpoint | None:
        """The checkpoint where it is a local folder, None where the hub has to be asked."""
        return local_checkpoint(self.model, self.kind)

    @property
    def effective_dtype(self) -> str:
        """`dtype`, where "auto" is float32 for the bundled pair: it is small, and so answers alike on every machine."""
        return "float32" if self.model == TINY and self.dtype == "auto" else self.dtype

    def open(self) -> Checkpoint:
        return open_checkpoint(self.model, self.kind, revision=self.revision, cache_folder=self.cache_folder)


def check_positive(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} must be an integer of at least 1")
    return value
