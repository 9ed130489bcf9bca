"""Inference of Qwen3-Embedding and Qwen3-Reranker; knows nothing of LlamaIndex."""
