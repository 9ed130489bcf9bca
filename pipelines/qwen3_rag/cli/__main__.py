"""`python -m qwen3_rag.cli`."""

from qwen3_rag.cli.program import main

main()
