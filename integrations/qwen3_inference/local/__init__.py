"""Qwen3 models with torch in this process."""
