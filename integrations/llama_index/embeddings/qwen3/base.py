"""`Qwen3Embedding`: LlamaIndex's embedding interface on a Qwen3 embedding engine. No tensor code here."""

from collections.abc import Sequence
from typing import Annotated, Any, Self, cast

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_validator, model_validator
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.embeddings.qwen3.interface import RoleEmbedding
from llama_index.embeddings.qwen3.nodes import passages_of
from llama_index.embeddings.qwen3.request import QUERY, Request
from qwen3_inference import EmbeddingEngine, TorchEmbeddingEngine
from qwen3_inference.engines import (
    MeasuringEngine,
    Vectors,
    check_picklable,
    engine_identity,
    engine_name,
    has_methods,
)
from qwen3_inference.lengths import Overlong
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH, check_dimensions
from qwen3_inference.local.options import Device, DType, Folder, LocalOptions, ModelName, local_settings, ready
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS

DEFAULT_MODEL = "Qwen/Qwen3-Embedding-0.6B"
# Core slices texts by this count before the engine sees them. The engine batches by tokens, so give it the most.
LARGEST_BATCH = 2048


class Qwen3Embedding(LocalOptions, RoleEmbedding):
    """Embeds with Qwen3-Embedding: queries with their instruction, documents bare, last-token pooling, unit vectors.

    Weights load at the first use. Safe to share between threads and event loops: one forward runs at a time, and the
    asynchronous methods never block the loop. Pickling and copying carry settings, never weights. A process that
    forks after use may go on using it.

    Raises:
        ValueError: an option is out of its bounds, or what is embedded is no text.

    >>> from llama_index.embeddings.qwen3 import Qwen3Embedding
    >>> embed_model = Qwen3Embedding("tiny", dimensions=64)
    >>> query = embed_model.get_query_embedding("How do plants make sugar?")
    >>> document = embed_model.get_text_embedding("Photosynthesis turns light, water and carbon dioxide into sugar.")
    >>> len(query), len(document)
    (64, 64)
    """

    model_name: ModelName = Field(
        default=DEFAULT_MODEL,
        description="hub name, local folder, or 'tiny' (a small bundled model, for trying out and for tests).",
    )
    dimensions: int | None = Field(
        default=None,
        description="length of the vectors (MRL): cut, then normalised again. None: the model's own.",
    )
    engine: Annotated[Any, ready(EmbeddingEngine)] = Field(
        default=None, exclude=True, description="a ready `EmbeddingEngine` instead of local torch."
    )
    embed_batch_size: int = Field(
        default=LARGEST_BATCH, gt=0, le=LARGEST_BATCH, description="texts handed to the engine at once."
    )
    num_workers: int | None = Field(
        default=None, description="accepted for LlamaIndex; batches run one after another on the one model."
    )
    embeddings_cache: Any = Field(
        default=None,
        exclude=True,
        description="a `BaseKVStore` for vectors, keyed by text, role, instruction, dimensions and the engine's "
        "identity (model, revision or files, number format).",
    )

    _local_engine: TorchEmbeddingEngine | None = PrivateAttr(default=None)

    def __init__(
        self,
        model_name: Folder = DEFAULT_MODEL,
        query_instruction: str | None = None,
        dimensions: int | None = None,
        max_length: int = DEFAULT_MAX_LENGTH,
        device: Device = None,
        dtype: DType = "auto",
        revision: str | None = None,
        cache_folder: Folder | None = None,
        trust_remote_code: bool = False,
        max_batch_tokens: int = DEFAULT_MAX_BATCH_TOKENS,
        engine: EmbeddingEngine | None = None,
        embed_batch_size: int = LARGEST_BATCH,
        num_workers: int | None = None,
        embeddings_cache: BaseKVStore | None = None,
        callback_manager: CallbackManager | None = None,
        rate_limiter: Any = None,
        text_instruction: str | None = None,
    ) -> None:
        if callback_manager is None:
            callback_manager = CallbackManager([])
        if engine is not None and model_name == DEFAULT_MODEL:
            model_name = engine_name(engine)
        super().__init__(**{name: value for name, value in dict(locals()).items() if name in type(self).model_fields})
        if engine is None:
            self._engine_in_use()

    @classmethod
    def class_name(cls) -> str:
        return "Qwen3Embedding"

    def __getstate__(self) -> dict[str, Any]:
        check_picklable(self.engine)
        return super().__getstate__()

    @field_validator("embeddings_cache")
    @classmethod
    def _check_cache(cls, cache: Any) -> Any:
        if cache is not None and not isinstance(cache, BaseKVStore):
            raise ValueError(f"embeddings_cache={cache!r} must be a LlamaIndex BaseKVStore, or None")
        return cache

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        if self.embeddings_cache is not None and self.engine is not None and engine_identity(self.engine) is None:
            raise ValueError(
                f"embeddings_cache needs an engine that says whose vectors it gives, and {type(self.engine).__name__} "
                "does not: give it an attribute `identity`, a string that differs wherever the vectors do"
            )
        return self

    def overlong(self, nodes: Sequence[BaseNode]) -> list[Overlong]:
        """The nodes whose text, with its metadata as embedded, is longer than the model reads: what is behind ends in
        no vector. An injected engine that cannot tell finds none. Loads no weights.

        >>> from llama_index.core.schema import TextNode
        >>> [found.index for found in Qwen3Embedding("tiny", max_length=64).overlong([TextNode(text="tea " * 90)])]
        [0]
        """
        engine = self._engine_in_use()
        if not has_methods(engine, MeasuringEngine):
            return []
        prompt = {} if self.text_instruction is None else {"prompt": self.text_instruction}
        return cast(MeasuringEngine, engine).overlong_documents(passages_of(nodes), **prompt)

    def _compute(self, request: Request) -> list[Embedding]:
        engine, options = self._engine_in_use(), self._call_options(request)
        with request.naming_places():
            if request.role == QUERY:
                return _lists(engine.embed_queries(request.texts, instruction=request.instruction, **options))
            return _lists(engine.embed_documents(request.texts, **_prompt(request), **options))

    async def _acompute(self, request: Request) -> list[Embedding]:
        engine, options = self._engine_in_use(), self._call_options(request)
        with request.naming_places():
            if request.role == QUERY:
                return _lists(await engine.aembed_queries(request.texts, instruction=request.instruction, **options))
            return _lists(await engine.aembed_documents(request.texts, **_prompt(request), **options))

    def _call_options(self, request: Request) -> dict[str, Any]:
        return {"dimensions": self.dimensions, "progress": request.progress}

    def _engine_in_use(self) -> EmbeddingEngine:
        """The injected engine, or the local one for the present settings (they may change by assignment or copy)."""
        if self.engine is not None:
            injected: EmbeddingEngine = self.engine
            return injected
        settings = local_settings(self, self.model_name, "embedding")
        if self._local_engine is None or self._local_engine.settings != settings:
            checkpoint = settings.local_checkpoint()
            check_dimensions(self.dimensions, checkpoint.largest_dimension if checkpoint else None, self.model_name)
            self._local_engine = TorchEmbeddingEngine(settings)
        return self._local_engine

    def _identity(self, request: Request) -> dict[str, Any]:
        return {
            "role": request.role,
            "instruction": request.instruction,
            "model": self.model_name,
            "engine": engine_identity(self._engine_in_use()),
            "revision": self.revision,
            "dimensions": self.dimensions,
            "max_length": self.max_length,
        }


def _prompt(request: Request) -> dict[str, Any]:
    """Only where there is one: an engine whose model has no document prompt need not take it."""
    return {} if request.instruction is None else {"prompt": request.instruction}


def _lists(vectors: Vectors) -> list[Embedding]:
    """Plain Python floats, which every vector store and JSON encoder takes."""
    lists: list[Embedding] = vectors.tolist()
    return lists
