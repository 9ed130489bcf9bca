"""Inference of Qwen3-Embedding and Qwen3-Reranker; knows nothing of LlamaIndex. Importing it imports no torch."""

from qwen3_inference import moved as moved
from qwen3_inference.engines import EmbeddingEngine, Progress, RerankEngine
from qwen3_inference.errors import (
    CheckpointError,
    EngineNotPicklableError,
    EngineResponseError,
    EngineUnavailableError,
    HubUnavailableError,
    NumericalError,
)
from qwen3_inference.instructions import use_instruction
from qwen3_inference.local.embedding import TorchEmbeddingEngine
from qwen3_inference.local.rerank import TorchRerankEngine
from qwen3_inference.local.settings import LocalSettings
from qwen3_inference.prompts import DEFAULT_INSTRUCTION

__all__ = [
    "DEFAULT_INSTRUCTION",
    "CheckpointError",
    "EmbeddingEngine",
    "EngineNotPicklableError",
    "EngineResponseError",
    "EngineUnavailableError",
    "HubUnavailableError",
    "LocalSettings",
    "NumericalError",
    "Progress",
    "RerankEngine",
    "TorchEmbeddingEngine",
    "TorchRerankEngine",
    "use_instruction",
]
