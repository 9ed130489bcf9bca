"""Parts shared by the two compiled checkpoints: the residual layout, flags, log-weights as angles, empty Qwen3 weights.

A compiled checkpoint is an ordinary Qwen3 model whose weights are written down rather than found by descent. Three
facts make it exact:

- k_norm and q_norm fix the length of keys and queries, so a number is stored as the angle of two channels (cos, sin).
- The slowest rotary pairs hardly turn within 8k positions, so only they carry keys. The partner of each used dimension
  stays empty, so that the little turn there is leaks into nothing.
- A token without semantic content has zero value vectors; attending to it means attending to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import Qwen3Config, Qwen3ForCausalLM

ROPE_THETA = 1_000_000.0
# Tokens that end the first sentence or the heading; what stands before them counts LEAD times.
STOPS = (".", "?", "!", "。", "\n")
LEAD = 3.0
MARKUP = ("#",)  # four of them before a heading would drown it


@dataclass
class Layout:
    """Channel numbers of the residual stream: `width` semantic ones, then the named ones."""

    width: int
    names: tuple[str, ...]
    hidden: int
    at: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        if self.width + len(self.names) > self.hidden:
            raise ValueError(f"{self.width} semantic and {len(self.names)} named channels exceed hidden {self.hidden}")
        self.at = {name: self.width + i for i, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> int:
        return self.at[name]


def config(hidden: int, layers: int, intermediate: int, heads: int, head_dim: int, vocab: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=head_dim,
        max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        attention_bias=False,
        use_sliding_window=False,
        layer_types=["full_attention"] * layers,
        bos_token_id=None,
        eos_token_id=None,
        dtype="float32",
    )


def empty_model(settings: Qwen3Config) -> Qwen3ForCausalLM:
    """All projections zero, all norms one: every layer passes its input on."""
    model = Qwen3ForCausalLM(settings).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
    return model


class Head:
    """One attention head of one layer; rows of its projections by dimension."""

    def __init__(self, layer, index: int, head_dim: int) -> None:
        self.attention, self.first, self.dim = layer.self_attn, index * head_dim, head_dim

    def slow(self, rank: int) -> int:
        """The rank-th slowest rotary dimension; its partner `+ dim / 2` stays unused."""
        return self.dim // 2 - 1 - rank

    def query(self, dim: int, channel: int, value: float) -> None:
        self.attention.q_proj.weight.data[self.first + dim, channel] = value

    def key(self, dim: int, channel: int, value: float) -> None:
        self.attention.k_proj.weight.data[self.first + dim, channel] = value

    def value(self, dim: int, channel: int, value: float) -> None:
        self.attention.v_proj.weight.data[self.first + dim, channel] = value

    def write(self, channel: int, dim: int, value: float) -> None:
        self.attention.o_proj.weight.data[channel, self.first + dim] = value

    def write_once(self, source: int, target: int, dim: int, scale: float) -> None:
        """Carry one channel of the attended tokens into one channel of the reader."""
        self.value(dim, source, 1.0)
        self.write(target, dim, scale)


def single_ids(tokenizer: Tokenizer, texts: tuple[str, ...]) -> list[int]:
    """The id of each text, which must be one token."""
    encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    if any(len(ids) != 1 for ids in encoded):
        raise ValueError(f"not all of {texts} are one token: {encoded}")
    return [ids[0] for ids in encoded]


def angles(logs: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Log-weights as (cos, sin) and their middle; `reach * cos` gives them back, clipped to the reach."""
    middle = float(logs.max() - 0.98 * reach)
    cos = np.clip((logs - middle) / reach, -0.98, 0.98)
    return cos, np.sqrt(1 - cos**2), middle
