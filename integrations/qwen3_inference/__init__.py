"""Inference of Qwen3-Embedding and Qwen3-Reranker; knows nothing of LlamaIndex. Importing it imports no torch."""

from qwen3_inference.engines import EmbeddingEngine, Progress, RerankEngine
from qwen3_inference.errors import CheckpointError, EngineNotPicklableError, HubUnavailableError, NumericalError
from qwen3_inference.instructions import use_instruction
from qwen3_inference.prompts import DEFAULT_INSTRUCTION
from qwen3_inference.settings import LocalSettings
from qwen3_inference.torch_embedding import TorchEmbeddingEngine
from qwen3_inference.torch_rerank import TorchRerankEngine

__all__ = [
    "DEFAULT_INSTRUCTION",
    "CheckpointError",
    "EmbeddingEngine",
    "EngineNotPicklableError",
    "HubUnavailableError",
    "LocalSettings",
    "NumericalError",
    "Progress",
    "RerankEngine",
    "TorchEmbeddingEngine",
    "TorchRerankEngine",
    "use_instruction",
]
