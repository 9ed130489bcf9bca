"""Causal attention of packed sequences behind a shared prefix.

Shapes and layout as in `decoder`; keys have D channels, values V, which is another number where some were left out.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Rows attended at once, where each query head of a group is a row. A block does not look at keys after its last row, so
# small blocks skip almost half of the work on long sequences; from 192 rows on, torch's kernel works in larger tiles.
_BLOCK_ROWS = 192


class PackedAttention:
    """Attention for one pack, a sequence at a time, nothing padded. Layout and mask are made once for all layers."""

    def __init__(self, lengths: Sequence[int], prefix_length: int, scale: float) -> None:
        self._lengths = lengths
        self._longest = max(lengths)
        self._prefix_length = prefix_length
        self._scale = scale
        self._triangle = prefix_length + self._longest
        self._masks: dict[int, Tensor] = {}  # by group

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """query (T, K, G, D), key (T, K, D), value (T, K, V), prefix of both (P, K, D or V) -> (T, K * G * V).

        Every position sees the whole prefix and its own sequence up to itself.
        """
        out = torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=query.device)
        group = query.shape[2]
        size, whole_mask = self._block(group), self._mask(query)
        for start, length, keys, values in self._sequences(key, value, prefix):
            for first in range(0, length, size):
                last = min(first + size, length)
                seen = self._prefix_length + last
                columns = slice(self._triangle - self._prefix_length - first, self._triangle + last - first)
                mask = whole_mask[: (last - first) * group, columns]
                block = slice(start + first, start + last)
                out[block] = _attend(query[block], keys[:seen], values[:seen], mask, self._scale)
        return out.flatten(1)

    def last(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for the last position of each sequence only: query (N, K, G, D) -> (N, K * G * V)."""
        out = torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=query.device)
        for index, (_, _, keys, values) in enumerate(self._sequences(key, value, prefix)):
            out[index : index + 1] = _attend(query[index : index + 1], keys, values, None, self._scale)
        return out.flatten(1)

    def _block(self, group: int) -> int:
        """Positions attended at once."""
        return min(max(1, _BLOCK_ROWS // group), self._longest)

    def _mask(self, query: Tensor) -> Tensor:
        """Additive: zeros, then a triangle, each row `group` times.

        The positions from `first` of a sequence see every column before `first` and a triangle of their own, so the
        slice that starts that many columns before the triangle serves any block.
        """
        group = query.shape[2]
        if group not in self._masks:
            block = self._block(group)
            mask = query.new_full((block, self._triangle + block), float("-inf"))
            self._masks[group] = mask.triu_(self._triangle + 1).repeat_interleave(group, dim=0)
        return self._masks[group]

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
        self, lengths: Sequence[int], prefix_length: int, scale: float, device: torch.device, dtype: torch.dtype
    ) -> None:
        longest = max(lengths)
        self._scale = scale
        self._size = len(lengths), longest
        self._sequence = torch.repeat_interleave(torch.tensor(lengths, device=device))
        self._position = torch.cat([torch.arange(length, device=device) for length in lengths])
        self._ends = torch.tensor(lengths, device=device) - 1
        mask = torch.full((longest, prefix_length + longest), float("-inf"), dtype=dtype, device=device)
        self._mask = mask.triu_(prefix_length + 1) if prefix_length else None

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """query (T, K, G, D), key (T, K, D), value (T, K, V), prefix of both (P, K, D or V) -> (T, K * G * V)."""
        before = (None, None) if prefix is None else prefix
        context = F.scaled_dot_product_attention(
            self._pad(query.flatten(1, 2), None),
            self._pad(key, before[0]).repeat_interleave(query.shape[2], dim=1),
            self._pad(value, before[1]).repeat_interleave(query.shape[2], dim=1),
            attn_mask=self._mask,
            is_causal=self._mask is None,
            scale=self._scale,
        )
        return context.transpose(1, 2)[self._sequence, self._position].flatten(1)

    def last(self, query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
        """The same for the last position of each sequence only: query (N, K, G, D) -> (N, K * G * V)."""
        before = (None, None) if prefix is None else prefix
        keys, values = self._pad(key, before[0]), self._pad(value, before[1])
        columns = torch.arange(keys.shape[2], device=keys.device)
        seen = columns <= (self._ends + keys.shape[2] - self._size[1])[:, None]
        context = F.scaled_dot_product_attention(
            query.flatten(1, 2)[:, :, None],
            keys.repeat_interleave(query.shape[2], dim=1),
            values.repeat_interleave(query.shape[2], dim=1),
            attn_mask=seen[:, None, None],
            scale=self._scale,
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
    lengths: Sequence[int], prefix_length: int, scale: float, device: torch.device, dtype: torch.dtype
) -> PackedAttention | PaddedAttention:
    """On a CPU a call is cheap and padding is not; elsewhere it is the other way round."""
    if device.type == "cpu":
        return PackedAttention(lengths, prefix_length, scale)
    return PaddedAttention(lengths, prefix_length, scale, device, dtype)


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


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """query (L, K, G, D), keys (S, K, D), values (S, K, V), mask (L * G, S) -> (L, K, G, V).

    The query heads of a group are rows of one product with the keys that they share. torch's kernel for the CPU wants
    as many channels of keys as of values; without it, scores are products of their own.
    """
    heads = query.transpose(0, 1)
    rows, keys, values = heads.flatten(1, 2), keys.transpose(0, 1), values.transpose(0, 1)
    if keys.shape[-1] == values.shape[-1]:
        context = F.scaled_dot_product_attention(rows[None], keys[None], values[None], attn_mask=mask, scale=scale)
    else:
        rows, keys = rows.float(), keys.float().transpose(1, 2)
        scores = torch.baddbmm(rows.new_zeros(()), rows, keys, beta=0, alpha=scale)
        if mask is not None:  # it hides nothing of the keys before these positions' own
            scores[..., -len(query) :].add_(mask[:, -len(query) :])
        context = torch.bmm(scores.softmax(-1), values.float()).to(query.dtype)
    return context.view(*heads.shape[:-1], values.shape[-1]).transpose(0, 1)
