"""Nodes to the texts that models read, and vectors back into nodes."""

from collections.abc import Sequence

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.schema import BaseNode, MetadataMode
from qwen3_inference.texts import Passage


def passage_of(node: BaseNode, content: str) -> str:
    """`content`, the node's text with its metadata as embedded; it knows where the text of its own begins."""
    own = node.get_content(metadata_mode=MetadataMode.NONE).strip()
    start = content.rfind(own) if own else 0
    return Passage(content, content[:start], f"node {node.node_id!r}") if start > 0 else content


def passages_of(nodes: Sequence[BaseNode]) -> list[str]:
    return [passage_of(node, node.get_content(metadata_mode=MetadataMode.EMBED)) for node in nodes]


def with_embeddings(nodes: Sequence[BaseNode], vectors: Sequence[Embedding]) -> Sequence[BaseNode]:
    for node, vector in zip(nodes, vectors, strict=True):
        node.embedding = vector
    return nodes
