"""Causal attention of packed sequences behind a shared prefix.

Query heads that share a key-value head become a batch dimension with stride zero on the keys, so grouped heads cost
no copies. Shapes as in `decoder`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    prefix_key: Tensor | None = None,
    prefix_value: Tensor | None = None,
) -> Tensor:
    """query (T, H, D), key and value (T, K, D), prefix (P, K, D) -> (T, H * D).

    Every position sees the whole prefix and its own sequence up to itself.
    """
    out = torch.empty_like(query)
    mask = _causal_mask(max(lengths), prefix_key, query) if prefix_key is not None else None
    start = 0
    for length in lengths:
        own = slice(start, start + length)
        start += length
        heads = _grouped(query[own], key.shape[1])
        keys, values = _with_prefix(key[own], prefix_key), _with_prefix(value[own], prefix_value)
        context = F.scaled_dot_product_attention(
            heads,
            _shared(keys, heads),
            _shared(values, heads),
            attn_mask=None if mask is None else mask[:length, : len(keys)],
            is_causal=mask is None,
        )
        _grouped(out[own], key.shape[1]).copy_(context)
    return out.flatten(1)


def attend_last(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    prefix_key: Tensor | None = None,
    prefix_value: Tensor | None = None,
) -> Tensor:
    """The same for the last position of each sequence only: query (N, H, D) -> (N, H * D)."""
    out = torch.empty_like(query)
    start = 0
    for index, length in enumerate(lengths):
        own = slice(start, start + length)
        start += length
        heads = _grouped(query[index : index + 1], key.shape[1])
        keys, values = _with_prefix(key[own], prefix_key), _with_prefix(value[own], prefix_value)
        context = F.scaled_dot_product_attention(heads, _shared(keys, heads), _shared(values, heads))
        _grouped(out[index : index + 1], key.shape[1]).copy_(context)
    return out.flatten(1)


def _grouped(query: Tensor, kv_heads: int) -> Tensor:
    """A view (L, H, D) -> (G, K, L, D)."""
    return query.view(query.shape[0], kv_heads, -1, query.shape[2]).permute(2, 1, 0, 3)


def _shared(states: Tensor, heads: Tensor) -> Tensor:
    """A view (S, K, D) -> (G, K, S, D)."""
    return states.transpose(0, 1).expand(heads.shape[0], -1, -1, -1)


def _with_prefix(states: Tensor, prefix: Tensor | None) -> Tensor:
    return states if prefix is None else torch.cat((prefix, states))


def _causal_mask(longest: int, prefix_key: Tensor, like: Tensor) -> Tensor:
    """Additive (longest, P + longest): zero where key j is at or before position P + i. Slices serve shorter ones."""
    columns = len(prefix_key) + longest
    mask = torch.full((longest, columns), float("-inf"), dtype=like.dtype, device=like.device)
    return mask.triu_(len(prefix_key) + 1)
