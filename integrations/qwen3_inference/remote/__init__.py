"""Qwen3 models behind HTTP: any server's vectors and probabilities as the local engines give them."""

from qwen3_inference.remote.embedding import RemoteEmbeddingEngine
from qwen3_inference.remote.rerank import RemoteRerankEngine

__all__ = ["RemoteEmbeddingEngine", "RemoteRerankEngine"]
