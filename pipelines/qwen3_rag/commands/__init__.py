"""Sub-commands of `qwen3-rag`. Each module has `register(app)`; heavy imports stay inside the functions."""
