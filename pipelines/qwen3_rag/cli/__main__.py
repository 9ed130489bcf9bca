"""`python -m qwen3_rag.cli`."""

from qwen3_rag.cli import main

main()
