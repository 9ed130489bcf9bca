"""Causal attention of packed sequences behind a shared prefix.

Query heads that share a key-value head become a batch dimension with stride zero on the keys, so grouped heads cost
no copies. Shapes as in `decoder`.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Query rows attended at once. A block does not look at keys after its last row, so small blocks skip almost half of
# the work on long sequences.
_BLOCK_ROWS = 64


class PackedAttention:
    """Attention for one pack, a sequence at a time, nothing padded. Layout and mask are made once for all layers."""

    def __init__(self, lengths: Sequence[int], prefix_length: int, device: torch.device, dtype: torch.dtype) -> None:
        longest = max(lengths)
        self._lengths = lengths
        self._prefix_length = prefix_length
        self._block = min(_BLOCK_ROWS, longest)
        # Additive: zeros, then a triangle. The rows from `first` of a sequence see every column before `first` and a
        # triangle of their own, so the slice that starts that many columns before the triangle serves any block.
        self._triangle = prefix_length + longest
        mask = torch.full((self._block, self._triangle + self._block), float("-inf"), dtype=dtype, device=device)
        self._mask = mask.triu_(self._triangle + 1)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """query (T, H, D), key and value (T, K, D), prefix twice (P, K, D) -> (T, H * D).

        Every position sees the whole prefix and its own sequence up to itself.
        """
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        heads, out_heads = _grouped(query, key.shape[1]), _grouped(out, key.shape[1])
        for start, length, keys, values in self._sequences(key, value, prefix):
            for first in range(0, length, self._block):
                last = min(first + self._block, length)
                before = self._prefix_length + first
                rows = slice(start + first, start + last)
                columns = slice(self._triangle - before, self._triangle + last - first)
                out_heads[:, :, rows] = F.scaled_dot_product_attention(
                    heads[:, :, rows],
                    _shared(keys[: before + last - first], heads),
                    _shared(values[: before + last - first], heads),
                    attn_mask=self._mask[: last - first, columns],
                )
        return out.flatten(1)

    def last(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for the last position of each sequence only: query (N, H, D) -> (N, H * D)."""
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        heads, out_heads = _grouped(query, key.shape[1]), _grouped(out, key.shape[1])
        for index, (_, _, keys, values) in enumerate(self._sequences(key, value, prefix)):
            row = slice(index, index + 1)
            out_heads[:, :, row] = F.scaled_dot_product_attention(
                heads[:, :, row], _shared(keys, heads), _shared(values, heads)
            )
        return out.flatten(1)

    def _sequences(
        self, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None
    ) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """First row, length, and all keys and values that each sequence sees."""
        start = 0
        for length in self._lengths:
            own = slice(start, start + length)
            keys, values = key[own], value[own]
            if prefix is not None:
                keys, values = torch.cat((prefix[0], keys)), torch.cat((prefix[1], values))
            yield start, length, keys, values
            start += length


class PaddedAttention:
    """The same in one call for the whole pack, padded on the right: for devices where a call costs more than padding.

    A padded key stands behind every real one of its sequence, so the causal mask already hides it.
    """

    def __init__(self, lengths: Sequence[int], prefix_length: int, device: torch.device, dtype: torch.dtype) -> None:
        longest = max(lengths)
        self._size = len(lengths), longest
        self._sequence = torch.repeat_interleave(torch.tensor(lengths, device=device))
        self._position = torch.cat([torch.arange(length, device=device) for length in lengths])
        self._ends = torch.tensor(lengths, device=device) - 1
        mask = torch.full((longest, prefix_length + longest), float("-inf"), dtype=dtype, device=device)
        self._mask = mask.triu_(prefix_length + 1) if prefix_length else None

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """query (T, H, D), key and value (T, K, D), prefix twice (P, K, D) -> (T, H * D)."""
        groups = query.shape[1] // key.shape[1]
        before = (None, None) if prefix is None else prefix
        context = F.scaled_dot_product_attention(
            self._pad(query, None),
            self._pad(key, before[0]).repeat_interleave(groups, dim=1),
            self._pad(value, before[1]).repeat_interleave(groups, dim=1),
            attn_mask=self._mask,
            is_causal=self._mask is None,
        )
        return context.transpose(1, 2)[self._sequence, self._position].flatten(1)

    def last(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for the last position of each sequence only: query (N, H, D) -> (N, H * D)."""
        groups = query.shape[1] // key.shape[1]
        before = (None, None) if prefix is None else prefix
        keys, values = self._pad(key, before[0]), self._pad(value, before[1])
        columns = torch.arange(keys.shape[2], device=keys.device)
        seen = columns <= (self._ends + keys.shape[2] - self._size[1])[:, None]
        context = F.scaled_dot_product_attention(
            query[:, :, None],
            keys.repeat_interleave(groups, dim=1),
            values.repeat_interleave(groups, dim=1),
            attn_mask=seen[:, None, None],
        )
        return context.flatten(1)

    def _pad(self, states: Tensor, prefix: Tensor | None) -> Tensor:
        """(T, heads, D) -> (N, heads, P + longest, D)."""
        padded = states.new_zeros((*self._size, *states.shape[1:]))
        padded[self._sequence, self._position] = states
        if prefix is not None:
            padded = torch.cat((prefix.expand(len(padded), *prefix.shape), padded), dim=1)
        return padded.transpose(1, 2)


def attention_for(
    lengths: Sequence[int], prefix_length: int, device: torch.device, dtype: torch.dtype
) -> PackedAttention | PaddedAttention:
    """On a CPU a call is cheap and padding is not; elsewhere it is the other way round."""
    kind = PackedAttention if device.type == "cpu" else PaddedAttention
    return kind(lengths, prefix_length, device, dtype)


def _grouped(query: Tensor, kv_heads: int) -> Tensor:
    """A view (T, H, D) -> (G, K, T, D)."""
    return query.view(query.shape[0], kv_heads, -1, query.shape[2]).permute(2, 1, 0, 3)


def _shared(states: Tensor, heads: Tensor) -> Tensor:
    """A view (S, K, D) -> (G, K, S, D)."""
    return states.transpose(0, 1).expand(heads.shape[0], -1, -1, -1)
