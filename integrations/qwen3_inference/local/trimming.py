"""Channels of attention that are zero by a layer's weights, which need not be computed.

A trained layer uses every channel of its heads. One that was pruned, or written down like the bundled pair's, has many
rows of zeros in its projections: what they give is zero, and so is what it adds to any score, length or output.
Left out, a reranking with the bundled pair takes less than half of the time.

Shapes as in `decoder`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_FIRST_COLUMNS = 16
"""So many columns show that a row of a trained weight is used; the whole of an 8B's would take seconds."""


@dataclass(frozen=True)
class Used:
    """What of a layer's heads is used: the same channels of all of them, and the same places of all groups.

    Indices ascend; None: all are used.
    """

    head_dim: int
    kv_heads: int
    pairs: Tensor | None = None
    """Of the D / 2 rotary pairs."""
    values: Tensor | None = None
    """Of the values' D channels."""
    group: Tensor | None = None
    """Of the G query heads that share a key-value head."""

    def of_keys(self, rows: Tensor) -> Tensor:
        """The used rows of keys, or of a norm of keys or queries: (heads * D, ...)."""
        if self.pairs is None:
            return rows
        return rows.view(-1, self.head_dim // 2, 2, *rows.shape[1:])[:, self.pairs].flatten(0, 2)

    def of_values(self, rows: Tensor) -> Tensor:
        """Of values (heads * D, ...)."""
        if self.values is None:
            return rows
        return rows.view(-1, self.head_dim, *rows.shape[1:])[:, self.values].flatten(0, 1)

    def of_queries(self, rows: Tensor) -> Tensor:
        """Of queries (K * G * D, ...)."""
        return self.of_keys(self._of_group(rows))

    def of_outputs(self, rows: Tensor) -> Tensor:
        """Of what reads the heads' outputs, transposed (K * G * D, ...)."""
        return self.of_values(self._of_group(rows))

    def _of_group(self, rows: Tensor) -> Tensor:
        if self.group is None:
            return rows
        return rows.view(self.kv_heads, -1, self.head_dim, *rows.shape[1:])[:, self.group].flatten(0, 2)


def used_channels(query: Tensor, key: Tensor, value: Tensor, out: Tensor, head_dim: int) -> Used:
    """What has an effect by the weights of the four projections; queries and keys with the rows of a pair side by side.

    A pair stays where queries or keys have it, since both are divided by their whole length; a value's channel where
    something is written to it and read from it; a query head where it, or its like in another group, is read. One of
    each stays in any case.
    """
    hidden = len(out)
    scored = [_is_used(rows.view(-1, head_dim // 2, 2 * hidden)).any(0) for rows in (query, key)]
    written = _is_used(value.view(-1, head_dim, hidden))
    read = _is_used(out.T.view(len(written), -1, head_dim, hidden))
    return Used(
        head_dim,
        len(written),
        pairs=_indices(scored[0] | scored[1]),
        values=_indices(written.any(0) & read.any(0).any(0)),
        group=_indices(read.any(-1).any(0)),
    )


def _is_used(rows: Tensor) -> Tensor:
    """(..., columns) -> whether there is anything but zeros (...)."""
    some = rows[..., :_FIRST_COLUMNS].any(-1)
    return some if bool(some.all()) else rows.any(-1)


def _indices(used: Tensor) -> Tensor | None:
    if bool(used.all()):
        return None
    used[0] |= ~used.any()
    return torch.nonzero(used)[:, 0]
