"""Retrieval as tools for language models."""
