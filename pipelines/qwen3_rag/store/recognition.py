"""Whether the configured model is the one whose vectors a collection holds."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from llama_index.core.schema import MetadataMode
from llama_index.core.vector_stores.utils import metadata_dict_to_node
from pymilvus import MilvusClient

from qwen3_rag.errors import ConfigError
from qwen3_rag.identity import Embed, ModelIdentity, likeness, probe_likeness

SAME = 0.99
"""Least cosine of one model's vectors of a text, whoever computes them: number formats differ by less."""
ALIKE = 0.95
"""Least cosine that a quantised copy of a model keeps."""
_SAMPLE = 5

RowLikeness = Callable[[Embed], float | None]
"""`row_likeness` of an open collection."""


def check_model(here: str, other: str, recorded: ModelIdentity, used: ModelIdentity, rows: RowLikeness) -> None:
    """Raise ConfigError unless vectors of both can be compared; where they nearly can, warn.

    Models that run here are told apart by their files. As soon as one of them is on a server, their vectors decide,
    whatever the names: those that are recorded with the collection, or those of some of its rows.

    Args:
        here, other: the collection, and what else can be done, as the message says it.
    """
    if not (recorded.is_served or used.is_served):
        if not used.same_files(recorded):
            raise ConfigError(
                f"{here} was embedded with {recorded}, you use {used}: their vectors cannot be compared; "
                f"use --embed-model {_short(recorded)}, or {other}"
            )
        return
    found = _likeness(recorded, used, rows)
    if found is None:
        raise ConfigError(
            f"{here} was made for {recorded}, you use {used}, and there is nothing by which to compare the two: no "
            f"passage, and no vector that was recorded; {other}"
        )
    if found >= SAME:
        return
    if not used.same_name(recorded):
        raise ConfigError(
            f"{here} was embedded with {recorded}, you use {used}: their vectors cannot be compared (cosine "
            f"{found:.3f} for the same text); use the model that filled it, or {other}"
        )
    if found < ALIKE:
        raise ConfigError(
            f"{here} was embedded with {recorded}, and {used} gives other vectors (cosine {found:.3f} for the same "
            "text): another model behind an equal name, or one that is served otherwise (pooling, end token, prompt); "
            f"`qwen3-rag verify` tells which; use the server that filled it, or {other}"
        )
    warnings.warn(
        f"{here} was embedded with {recorded}, and {used} gives somewhat other vectors (cosine {found:.3f} for the "
        "same text), as a quantised copy of a model does; results may differ",
        UserWarning,
        stacklevel=2,
    )


def row_likeness(client: MilvusClient, collection: str, embed: Embed) -> float | None:
    """The least cosine of some rows' vectors and those that `embed` gives for their texts; None without rows."""
    client.load_collection(collection)
    fields = ["text", "_node_content", "_node_type", "embedding"]
    rows = client.query(collection, filter="", limit=_SAMPLE, output_fields=fields, consistency_level="Strong")
    if not rows:
        return None
    nodes = [metadata_dict_to_node(row, text=row["text"]) for row in rows]
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    return likeness([row["embedding"] for row in rows], embed(texts))


def _likeness(recorded: ModelIdentity, used: ModelIdentity, rows: RowLikeness) -> float | None:
    if recorded.probes:
        used = used.probed()
        if used.probes:
            return probe_likeness(recorded.probes, used.probes)
    return rows(used.embed) if used.embed else None


def _short(identity: ModelIdentity) -> str:
    return identity.name if identity.revision.startswith("sha256:") else f"{identity.name} at that revision"
