"""What a reranker is asked, checked before anything is computed; errors name the node and say what to pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.qwen3.nodes import passage_of
from qwen3_inference import NumericalError
from qwen3_inference.texts import check_text, check_unicode, text_list


def embedded_text(node: BaseNode) -> str:
    return node.get_content(metadata_mode=MetadataMode.EMBED)


@dataclass(frozen=True)
class Question:
    """One query and what it is asked of. `top_n=None`: all are kept; `threshold=None`: whatever their score."""

    query: str
    nodes: list[NodeWithScore]
    instruction: str | None
    top_n: int | None = None
    threshold: float | None = None
    plain: bool = False
    """The nodes are made of plain documents, which the caller knows by their index alone."""
    node_text: Callable[[BaseNode], str] = embedded_text
    """What is judged of a node."""

    def texts(self) -> list[str]:
        """The nodes' texts with their metadata as embedded.

        Raises:
            ValueError: a text that no tokenizer takes; named by node and position in the caller's own string.
        """
        check_unicode(self.query, "the query")
        if self.instruction is not None:
            check_unicode(self.instruction, "the instruction")
        return [self._text(index, found.node) for index, found in enumerate(self.nodes)]

    @contextmanager
    def naming_nodes(self) -> Iterator[None]:
        """Say which nodes a numerical error is about: the engine knows positions only."""
        try:
            yield
        except NumericalError as error:
            if self.plain:
                raise
            names = ", ".join(self.nodes[index].node.node_id for index in error.indices)
            raise type(error)(f"{error} (nodes: {names})", error.indices) from error

    def _text(self, index: int, node: BaseNode) -> str:
        name = f"document {index}" if self.plain else f"node {node.node_id!r} (index {index})"
        text = check_text(self.node_text(node), f"the text of {name}")
        try:
            check_unicode(text, f"{name} with its metadata")
        except ValueError:
            # Better the position in the caller's own string than in the text that is made of them.
            check_unicode(node.get_content(metadata_mode=MetadataMode.NONE), name)
            for key in set(node.metadata) - set(node.excluded_embed_metadata_keys):
                check_unicode(str(node.metadata[key]), f"metadata {key!r} of {name}")
            raise
        return text if self.plain else passage_of(node, text)


def node_question(
    nodes: Any,
    query_bundle: Any,
    instruction: str | None,
    top_n: int,
    threshold: float | None,
    node_text: Callable[[BaseNode], str],
) -> Question:
    checked = _checked_nodes(nodes)
    return Question(_query_of(query_bundle), checked, instruction, top_n, threshold, node_text=node_text)


def document_question(query: Any, documents: Any, instruction: str | None, top_n: int | None) -> Question:
    texts = text_list(documents, "document", "rank(query, [document])")
    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(index))) for index, text in enumerate(texts)]
    return Question(_checked_query(query, "pass the query as a string"), nodes, instruction, top_n, plain=True)


def _query_of(query_bundle: Any) -> str:
    remedy = "pass query_bundle=QueryBundle(text) or query_str=text"
    if query_bundle is not None and not isinstance(query_bundle, QueryBundle):
        raise ValueError(f"query_bundle={query_bundle!r:.80} is a {type(query_bundle).__name__}; {remedy}")
    return _checked_query(None if query_bundle is None else query_bundle.query_str, remedy)


def _checked_query(query: Any, remedy: str) -> str:
    if query is None:
        raise ValueError(f"reranking needs the query: {remedy}")
    if not isinstance(query, str):
        raise ValueError(f"the query {query!r:.80} must be a string; {remedy}")
    return query


def _checked_nodes(nodes: Any) -> list[NodeWithScore]:
    if not isinstance(nodes, Sequence) or isinstance(nodes, str | bytes):
        raise ValueError(
            f"nodes={nodes!r:.80} is a {type(nodes).__name__}; pass a list of NodeWithScore, or strings to rank(query, "
            "documents)"
        )
    for index, found in enumerate(nodes):
        if not isinstance(found, NodeWithScore):
            raise ValueError(f"nodes[{index}] is a {type(found).__name__}, not a NodeWithScore; {_node_remedy(found)}")
    return list(nodes)


def _node_remedy(found: Any) -> str:
    if isinstance(found, BaseNode):
        return "pass NodeWithScore(node=node)"
    if isinstance(found, str):
        return "pass NodeWithScore(node=TextNode(text=text)), or strings to rank(query, documents)"
    return "pass NodeWithScore(node=TextNode(text=...))"
