"""Retrieval-augmented generation with Qwen3 models on Milvus."""
