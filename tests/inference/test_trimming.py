"""Heads with channels of zeros: left out of the computation, and the result stays the reference's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from qwen3_inference.local.attention import PackedAttention, PaddedAttention
from safetensors.torch import load_file, save_file
from support import reference
from support.checkpoints import SHAPES, Shape, make_checkpoint
from support.engines import PROBABILITY_TOLERANCE, assert_close, reranker

DOCUMENTS = ["hello world", "", "milvus stores vectors " * 30, "a b c", "vectors " * 90]


def zeroed(folder: Path, shape: Shape, parts: str, keep: int = 0, **config: Any) -> Path:
    """A reranker whose first layer's `parts` (of q, k, v, o) have only the first `keep` channels of each half head."""
    make_checkpoint(folder, "reranker", shape, **config)
    weights = load_file(folder / "model.safetensors")
    for part in parts:
        for kind in ("weight", "bias"):
            rows = weights.get(f"model.layers.0.self_attn.{part}_proj.{kind}")
            if rows is not None and (part, kind) != ("o", "bias"):
                heads = (rows.T if part == "o" else rows).unflatten(0, (-1, 2, shape.head_dim // 2))
                heads[:, :, keep:] = 0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def channels(folder: Path) -> list[tuple[int, int]]:
    """How many channels of keys and of values each layer computes."""
    layers = reranker(folder)._loaded()[1].decoder.layers
    return [(len(layer.key_norm), layer.out._weight.shape[1]) for layer in layers]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize(
    ("parts", "keep", "pairs", "values"),
    [
        pytest.param("qk", 2, 2, None, id="scores"),
        pytest.param("q", 2, None, None, id="queries alone, whose keys still count by their length"),
        pytest.param("v", 2, None, 4, id="values"),
        pytest.param("o", 2, None, 4, id="what reads the values"),
        pytest.param("qkvo", 1, 1, 2, id="nearly all"),
        pytest.param("qkvo", 0, 1, 1, id="all"),
    ],
)
def test_zeros_are_left_out(tmp_path, shape, parts, keep, pairs, values):
    folder = zeroed(tmp_path / "model", shape, parts, keep)
    whole = shape.head_dim, shape.heads * shape.head_dim
    heads = shape.heads if keep else shape.kv_heads  # of heads that nothing reads, one of each group stays
    expected = (2 * pairs if pairs else whole[0], heads * values if values else whole[1])
    assert channels(folder) == [expected, *[whole] * (shape.layers - 1)]
    scores = reranker(folder, max_batch_tokens=300).score("How is data stored?", DOCUMENTS)
    assert_close(scores, reference.score(folder, "How is data stored?", DOCUMENTS), PROBABILITY_TOLERANCE)


@pytest.mark.parametrize(("groups", "kept"), [pytest.param(2, 2, id="all groups"), pytest.param(1, 4, id="one of two")])
def test_heads_that_nothing_reads_are_left_out_where_they_are_in_every_group(tmp_path, groups, kept):
    shape = SHAPES[0]
    folder = make_checkpoint(tmp_path / "model", "reranker", shape)
    weights = load_file(folder / "model.safetensors")
    read = weights["model.layers.1.self_attn.o_proj.weight"].view(-1, shape.kv_heads, 2, shape.head_dim)
    read[:, :groups, 0] = 0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert channels(folder)[1] == (shape.head_dim, kept * shape.head_dim)
    scores = reranker(folder).score("How is data stored?", DOCUMENTS)
    assert_close(scores, reference.score(folder, "How is data stored?", DOCUMENTS), PROBABILITY_TOLERANCE)


def test_a_bias_is_no_zero(tmp_path):
    """Rows without weights have a bias all the same."""
    folder = zeroed(tmp_path / "model", SHAPES[0], "qkv", 2, attention_bias=True)
    weights = load_file(folder / "model.safetensors")
    for name in "qkv":
        weights[f"model.layers.0.self_attn.{name}_proj.bias"] += 0.3
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    scores = reranker(folder).score("How is data stored?", DOCUMENTS)
    assert_close(scores, reference.score(folder, "How is data stored?", DOCUMENTS), PROBABILITY_TOLERANCE)


def test_a_few_columns_of_zeros_are_not_taken_for_a_row_of_them(tmp_path):
    folder = make_checkpoint(tmp_path / "model", "reranker", SHAPES[0])
    weights = load_file(folder / "model.safetensors")
    for name in "qkv":
        weights[f"model.layers.0.self_attn.{name}_proj.weight"][:, :20] = 0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert channels(folder)[0] == (SHAPES[0].head_dim, SHAPES[0].heads * SHAPES[0].head_dim)


def test_the_bundled_reranker_has_most_of_its_channels_left_out():
    assert sum(map(sum, channels(Path("tiny")))) < 0.5 * 4 * (256 + 4 * 256)


@pytest.mark.parametrize(("key_dim", "value_dim"), [(8, 8), (8, 3), (2, 12)])
@pytest.mark.parametrize("before", [0, 5])
def test_both_kinds_of_attention_agree(key_dim, value_dim, before):
    lengths, kv_heads, group = [70, 3, 1, 33], 2, 3
    generator = torch.Generator().manual_seed(key_dim)

    def states(tokens: int, *shape: int) -> torch.Tensor:
        return torch.randn((tokens, kv_heads, *shape), generator=generator)

    total = sum(lengths)
    query, key, value = states(total, group, key_dim), states(total, key_dim), states(total, value_dim)
    prefix = (states(before, key_dim), states(before, value_dim)) if before else None
    ends = torch.tensor(lengths).cumsum(0) - 1
    packed = PackedAttention(lengths, before, 0.4)
    padded = PaddedAttention(lengths, before, 0.4, torch.device("cpu"), torch.float32)
    whole = packed(query, key, value, prefix)
    assert whole.shape == (total, kv_heads * group * value_dim)
    torch.testing.assert_close(whole, padded(query, key, value, prefix), rtol=1e-5, atol=1e-5)
    for kind in (packed, padded):
        torch.testing.assert_close(kind.last(query[ends], key, value, prefix), whole[ends], rtol=1e-5, atol=1e-5)
