"""The question and the nodes that rerankers are checked with, and what a caller sees of nodes."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

QUERY = "How is bread baked?"
TEXTS = [
    "Tyres need air.",
    "Bread is baked from dough.",
    "",
    "A vector database stores embeddings and finds the nearest ones. " * 6,
    "Paris is the capital of France.",
    "日本語のテキスト",
    "Knead, wait, bake.",
]


class UnreadableNode(TextNode):
    """A node whose text cannot be had, as one whose storage is gone."""

    def get_content(self, metadata_mode: MetadataMode = MetadataMode.NONE) -> str:
        raise OSError("the text of this node cannot be read")


def make_nodes(texts: Sequence[str] = TEXTS) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(text=text, id_=str(i), metadata={"source": f"file{i}"}), score=1 - i / 1000)
        for i, text in enumerate(texts)
    ]


def snapshot(nodes: Sequence[NodeWithScore]) -> list[tuple[Any, ...]]:
    """What a caller sees of its nodes."""
    return [
        (
            id(found.node),
            found.score,
            dict(found.node.metadata),
            list(found.node.excluded_embed_metadata_keys),
            list(found.node.excluded_llm_metadata_keys),
            found.node.get_content(),
        )
        for found in nodes
    ]


def scores_by_id(result: Sequence[NodeWithScore]) -> dict[str, float]:
    return {found.node.node_id: float(found.score or 0.0) for found in result}
