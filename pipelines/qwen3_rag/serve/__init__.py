"""The knowledge base for other programs."""
