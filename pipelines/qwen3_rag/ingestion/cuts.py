"""Which documents have text that the embedding model does not read, told for each document in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

from llama_index.core.schema import BaseNode
from qwen3_inference.engines import has_methods

SHOWN = 5


class TellsLengths(Protocol):
    """An embedding model that says which nodes are longer than it reads, as `Qwen3Embedding` does."""

    def overlong(self, nodes: Sequence[BaseNode]) -> list[Any]: ...


def find_cuts(model: object, documents: Sequence[tuple[str, Sequence[BaseNode]]]) -> Iterator[tuple[str, str]]:
    """(source, what is missing) of documents of which a part ends in no vector. Of a model that tells no lengths
    nothing is known."""
    if not has_methods(model, TellsLengths):
        return
    places = [(source, place, node) for source, nodes in documents for place, node in enumerate(nodes)]
    found: dict[str, list[tuple[int, Any]]] = {}
    for one in cast(TellsLengths, model).overlong([node for *_, node in places]):
        source, place, node = places[one.index]
        found.setdefault(source, []).append((int(node.metadata.get("position", place)), one))
    for source, passages in found.items():
        yield source, "; ".join(_reasons(passages))


def _reasons(passages: Sequence[tuple[int, Any]]) -> Iterator[str]:
    lost = [(place, one) for place, one in passages if one.is_lost]
    cut = [(place, one) for place, one in passages if not one.is_lost]
    if cut:
        longest, room = max(one.tokens for _, one in cut), cut[0][1].room
        yield (
            f"of {_named(cut)} the embedding model reads the first {room:,} tokens (there are {longest:,}), the rest "
            "ends in no vector; split that text, or lower --chunk-size"
        )
    if lost:
        yield (
            f"of {_named(lost)} the embedding model reads metadata alone, which takes all of its {lost[0][1].room:,} "
            "tokens, so that the text ends in no vector; shorten the metadata, or name its keys in the document's "
            "excluded_embed_metadata_keys"
        )


def _named(passages: Sequence[tuple[int, Any]]) -> str:
    shown = ", ".join(str(place) for place, _ in passages[:SHOWN]) + (", ..." if passages[SHOWN:] else "")
    return f"passage {shown}" if len(passages) == 1 else f"{len(passages)} passages ({shown})"
