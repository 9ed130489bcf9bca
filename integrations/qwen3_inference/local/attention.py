"""Causal attention of packed sequences behind a shared prefix. Shapes and layout as in `decoder`."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Rows attended at once, where each query head of a group is a row. A block does not look at keys after its last row, so
# small blocks skip almost half of the work on long sequences; from 192 rows on, torch's kernel works in larger tiles.
_BLOCK_ROWS = 192


class PackedAttention:
    """Attention for one pack, a sequence at a time, nothing padded. Layout and mask are made once for all layers."""

    def __init__(
        self, lengths: Sequence[int], prefix_length: int, group: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        longest = max(lengths)
        self._lengths = lengths
        self._longest = longest
        self._prefix_length = prefix_length
        self._group = group
        self._block = min(max(1, _BLOCK_ROWS // group), longest)  # in positions
        # Additive: zeros, then a triangle. The positions from `first` of a sequence see every column before `first` and
        # a triangle of their own, so the slice that starts that many columns before the triangle serves any block.
        self._triangle = prefix_length + longest
        mask = torch.full((self._block, self._triangle + self._block), float("-inf"), dtype=dtype, device=device)
        self._mask = mask.triu_(self._triangle + 1).repeat_interleave(group, dim=0)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """query (T, K, G, D), key and value (T, K, D), prefix twice (P, K, D) -> (T, K * G * D).

        Every position sees the whole prefix and its own sequence up to itself.
        """
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        for start, length, keys, values in self._sequences(key, value, prefix):
            for first in range(0, length, self._block):
                last = min(first + self._block, length)
                seen = self._prefix_length + last
                columns = slice(self._triangle - self._prefix_length - first, self._triangle + last - first)
                mask = self._mask[: (last - first) * self._group, columns]
                block = slice(start + first, start + last)
                out[block] = _attend(query[block], keys[:seen], values[:seen], mask)
        return out.flatten(1)

    def last(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for the last position of each sequence only: query (N, K, G, D) -> (N, K * G * D)."""
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        for index, (_, _, keys, values) in enumerate(self._sequences(key, value, prefix)):
            out[index : index + 1] = _attend(query[index : index + 1], keys, values, None)
        return out.flatten(1)

    def _sequences(
        self, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None
    ) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """First row, length, and all keys and values that each sequence sees, which hold until the next one."""
        start, before = 0, self._prefix_length
        room = None if prefix is None else [_with_room(states, self._longest) for states in prefix]
        for length in self._lengths:
            states = [key[start : start + length], value[start : start + length]]
            if room is not None:
                for held, own in zip(room, states, strict=True):
                    held[before : before + length] = own
                states = [held[: before + length] for held in room]
            yield start, length, states[0], states[1]
            start += length


class PaddedAttention:
    """The same in one call for the whole pack, padded on the right: for devices where a call costs more than padding.

    A padded key stands behind every real one of its sequence, so the causal mask already hides it.
    """

    def __init__(
        self, lengths: Sequence[int], prefix_length: int, group: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        longest = max(lengths)
        self._group = group
        self._size = len(lengths), longest
        self._sequence = torch.repeat_interleave(torch.tensor(lengths, device=device))
        self._position = torch.cat([torch.arange(length, device=device) for length in lengths])
        self._ends = torch.tensor(lengths, device=device) - 1
        mask = torch.full((longest, prefix_length + longest), float("-inf"), dtype=dtype, device=device)
        self._mask = mask.triu_(prefix_length + 1) if prefix_length else None

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """query (T, K, G, D), key and value (T, K, D), prefix twice (P, K, D) -> (T, K * G * D)."""
        before = (None, None) if prefix is None else prefix
        context = F.scaled_dot_product_attention(
            self._pad(query.flatten(1, 2), None),
            self._pad(key, before[0]).repeat_interleave(self._group, dim=1),
            self._pad(value, before[1]).repeat_interleave(self._group, dim=1),
            attn_mask=self._mask,
            is_causal=self._mask is None,
        )
        return context.transpose(1, 2)[self._sequence, self._position].flatten(1)

    def last(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for the last position of each sequence only: query (N, K, G, D) -> (N, K * G * D)."""
        before = (None, None) if prefix is None else prefix
        keys, values = self._pad(key, before[0]), self._pad(value, before[1])
        columns = torch.arange(keys.shape[2], device=keys.device)
        seen = columns <= (self._ends + keys.shape[2] - self._size[1])[:, None]
        context = F.scaled_dot_product_attention(
            query.flatten(1, 2)[:, :, None],
            keys.repeat_interleave(self._group, dim=1),
            values.repeat_interleave(self._group, dim=1),
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
    lengths: Sequence[int], prefix_length: int, group: int, device: torch.device, dtype: torch.dtype
) -> PackedAttention | PaddedAttention:
    """On a CPU a call is cheap and padding is not; elsewhere it is the other way round."""
    kind = PackedAttention if device.type == "cpu" else PaddedAttention
    return kind(lengths, prefix_length, group, device, dtype)


def joined(prefix: Tensor | None, own: Tensor) -> Tensor:
    """(P, K, D) and (L, K, D) -> (P + L, K, D), a copy that lies head by head."""
    parts = [own.transpose(0, 1)] if prefix is None else [prefix.transpose(0, 1), own.transpose(0, 1)]
    return torch.cat(parts, dim=1).transpose(0, 1)


def _with_room(prefix: Tensor, more: int) -> Tensor:
    """(P, K, D) -> (P + more, K, D), in memory head by head; what follows the prefix is not set."""
    length, heads, dim = prefix.shape
    held = torch.empty((heads, length + more, dim), dtype=prefix.dtype, device=prefix.device).transpose(0, 1)
    held[:length] = prefix
    return held


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """query (L, K, G, D), keys and values (S, K, D), mask (L * G, S) -> (L, K, G, D).

    The query heads of a group are rows of one product with the keys that they share.
    """
    rows = query.transpose(0, 1).flatten(1, 2)[None]
    context = F.scaled_dot_product_attention(
        rows, keys.transpose(0, 1)[None], values.transpose(0, 1)[None], attn_mask=mask
    )
    return context.view(query.transpose(0, 1).shape).transpose(0, 1)
