"""`Qwen3Embedding`: LlamaIndex's embedding interface on a Qwen3 embedding engine. No tensor code here."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CallbackManager
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.embeddings.qwen3.cache import aembed_with_cache, embed_with_cache
from llama_index.embeddings.qwen3.interface import QUERY, RoleEmbedding
from llama_index.embeddings.qwen3.reporting import reported
from qwen3_inference import EmbeddingEngine, LocalSettings, Progress, TorchEmbeddingEngine
from qwen3_inference.engines import Vectors, check_picklable
from qwen3_inference.instructions import current_query_instruction
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH, check_dimensions
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS
from qwen3_inference.prompts import check_instruction
from qwen3_inference.tokenization import check_texts

DEFAULT_MODEL = "Qwen/Qwen3-Embedding-0.6B"
# Core slices texts by this count before the engine sees them. The engine batches by tokens, so give it the most.
LARGEST_BATCH = 2048


class Qwen3Embedding(RoleEmbedding):
    """Embeds with Qwen3-Embedding: queries with their instruction, documents bare, last-token pooling, unit vectors.

    Weights load at the first use. Safe to share between threads and event loops: one forward runs at a time, and the
    asynchronous methods never block the loop. Pickling and copying carry settings, never weights.

    Args:
        model_name: hub name, local folder, or "tiny" (a small bundled model, for trying out and for tests).
        query_instruction: what to look for, in one English sentence. None: the authors' default; "": no instruction.
            `use_instruction` overrides it for one call.
        dimensions: length of the vectors (MRL): cut, then normalised again. None: the model's own.
        max_length: tokens of a text. Longer documents are cut with a warning, longer queries are an error.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best one.
        dtype: "auto" (bfloat16 where the hardware has it, else float32), "float32", "bfloat16", "float16".
        revision: hub revision; pin it for reproducible vectors.
        cache_folder: where hub downloads are kept; None: the hub's own cache.
        trust_remote_code: run code from the model's repository; Qwen3 needs none.
        max_batch_tokens: tokens computed at once; lower it for less memory.
        engine: a ready `EmbeddingEngine` instead of local torch.
        embed_batch_size: texts handed to the engine at once.
        num_workers: accepted for LlamaIndex; batches run one after another on the one model.
        embeddings_cache: a key-value store for vectors, keyed by text, role, model, revision, dimensions, instruction.
        callback_manager: LlamaIndex callbacks.

    Raises:
        ValueError: a setting is out of its bounds.

    >>> from llama_index.embeddings.qwen3 import Qwen3Embedding
    >>> embed_model = Qwen3Embedding("tiny", dimensions=64)
    >>> query = embed_model.get_query_embedding("How do plants make sugar?")
    >>> document = embed_model.get_text_embedding("Photosynthesis turns light, water and carbon dioxide into sugar.")
    >>> len(query), len(document)
    (64, 64)
    """

    dimensions: int | None = Field(default=None, description="Length of the vectors; None: the model's own.")
    max_length: int = Field(default=DEFAULT_MAX_LENGTH, description="Tokens of a text.")
    device: str | None = Field(default=None, description="Torch device; None: the best one.")
    dtype: str = Field(default="auto", description="auto, float32, bfloat16 or float16.")
    revision: str | None = Field(default=None, description="Hub revision.")
    cache_folder: str | None = Field(default=None, description="Folder of hub downloads.")
    trust_remote_code: bool = Field(default=False, description="Run code from the model's repository.")
    max_batch_tokens: int = Field(default=DEFAULT_MAX_BATCH_TOKENS, description="Tokens computed at once.")
    engine: Any = Field(default=None, exclude=True, description="A ready engine instead of local torch.")
    embeddings_cache: Any = Field(default=None, exclude=True, description="A BaseKVStore for vectors.")

    _local_engine: TorchEmbeddingEngine | None = PrivateAttr(default=None)

    def __init__(
        self,
        model_name: str = DEFAULT_MODEL,
        query_instruction: str | None = None,
        dimensions: int | None = None,
        max_length: int = DEFAULT_MAX_LENGTH,
        device: str | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        cache_folder: str | None = None,
        trust_remote_code: bool = False,
        max_batch_tokens: int = DEFAULT_MAX_BATCH_TOKENS,
        engine: EmbeddingEngine | None = None,
        embed_batch_size: int = LARGEST_BATCH,
        num_workers: int | None = None,
        embeddings_cache: BaseKVStore | None = None,
        callback_manager: CallbackManager | None = None,
        rate_limiter: Any = None,
    ) -> None:
        check_instruction(query_instruction, "query_instruction")
        if engine is not None and not isinstance(engine, EmbeddingEngine):
            raise ValueError(f"engine={engine!r} must have the methods of qwen3_inference.EmbeddingEngine")
        if embeddings_cache is not None and not isinstance(embeddings_cache, BaseKVStore):
            raise ValueError(f"embeddings_cache={embeddings_cache!r} must be a LlamaIndex BaseKVStore, or None")
        if engine is not None and model_name == DEFAULT_MODEL:
            model_name = getattr(engine, "model_name", type(engine).__name__)
        fields: dict[str, Any] = {
            "model_name": model_name,
            "query_instruction": query_instruction,
            "dimensions": dimensions,
            "max_length": max_length,
            "device": device,
            "dtype": dtype,
            "revision": revision,
            "cache_folder": cache_folder,
            "trust_remote_code": trust_remote_code,
            "max_batch_tokens": max_batch_tokens,
            "engine": engine,
            "embed_batch_size": embed_batch_size,
            "num_workers": num_workers,
            "embeddings_cache": embeddings_cache,
            "callback_manager": callback_manager or CallbackManager([]),
            "rate_limiter": rate_limiter,
        }
        super().__init__(**fields)
        if engine is None:
            self._engine_in_use()

    @classmethod
    def class_name(cls) -> str:
        return "Qwen3Embedding"

    def __getstate__(self) -> dict[str, Any]:
        check_picklable(self.engine)
        return super().__getstate__()

    def _embed(self, texts: Sequence[str], role: str, progress: Progress | None = None) -> list[Embedding]:
        check_texts(texts)
        instruction = current_query_instruction(self.query_instruction)
        with reported(self, texts) as finish:
            if self.rate_limiter is not None:
                self.rate_limiter.acquire()
            embed = partial(self._embed_now, role=role, instruction=instruction, progress=progress)
            identity = self._identity(role, instruction)
            return finish(embed_with_cache(texts, identity, self.embeddings_cache, embed))

    async def _aembed(self, texts: Sequence[str], role: str, progress: Progress | None = None) -> list[Embedding]:
        check_texts(texts)
        instruction = current_query_instruction(self.query_instruction)
        with reported(self, texts) as finish:
            if self.rate_limiter is not None:
                await self.rate_limiter.async_acquire()
            embed = partial(self._aembed_now, role=role, instruction=instruction, progress=progress)
            identity = self._identity(role, instruction)
            return finish(await aembed_with_cache(texts, identity, self.embeddings_cache, embed))

    def _embed_now(
        self, texts: list[str], role: str, instruction: str | None, progress: Progress | None = None
    ) -> list[Embedding]:
        engine = self._engine_in_use()
        if role == QUERY:
            vectors = engine.embed_queries(
                texts, instruction=instruction, dimensions=self.dimensions, progress=progress
            )
        else:
            vectors = engine.embed_documents(texts, dimensions=self.dimensions, progress=progress)
        return _lists(vectors)

    async def _aembed_now(
        self, texts: list[str], role: str, instruction: str | None, progress: Progress | None = None
    ) -> list[Embedding]:
        engine = self._engine_in_use()
        if role == QUERY:
            vectors = await engine.aembed_queries(
                texts, instruction=instruction, dimensions=self.dimensions, progress=progress
            )
        else:
            vectors = await engine.aembed_documents(texts, dimensions=self.dimensions, progress=progress)
        return _lists(vectors)

    def _engine_in_use(self) -> EmbeddingEngine:
        """The injected engine, or the local one for the present settings (they may change by assignment or copy)."""
        if self.engine is not None:
            injected: EmbeddingEngine = self.engine
            return injected
        settings = LocalSettings(
            model=self.model_name,
            kind="embedding",
            max_length=self.max_length,
            device=self.device,
            dtype=self.dtype,
            revision=self.revision,
            cache_folder=self.cache_folder,
            trust_remote_code=self.trust_remote_code,
            max_batch_tokens=self.max_batch_tokens,
        )
        if self._local_engine is None or self._local_engine.settings != settings:
            checkpoint = settings.local_checkpoint()
            check_dimensions(self.dimensions, checkpoint.largest_dimension if checkpoint else None, self.model_name)
            self._local_engine = TorchEmbeddingEngine(settings)
        return self._local_engine

    def _identity(self, role: str, instruction: str | None) -> dict[str, Any]:
        """What changes the vector of a text: part of its cache key."""
        return {
            "role": role,
            "instruction": instruction if role == QUERY else None,
            "model": self.model_name,
            "revision": self.revision,
            "dimensions": self.dimensions,
            "max_length": self.max_length,
            "dtype": self.dtype,
        }


def _lists(vectors: Vectors) -> list[Embedding]:
    """Plain Python floats, which every vector store and JSON encoder takes."""
    lists: list[Embedding] = vectors.tolist()
    return lists
