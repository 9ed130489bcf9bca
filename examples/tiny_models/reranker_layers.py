"""The four layers of the compiled reranker, what each finds out by itself; `compile_reranker.py` has the whole."""

from __future__ import annotations

import numpy as np
from circuits import Layout
from reranker_parts import (
    BACK,
    BEND,
    BLOCK,
    CARRY,
    CODE,
    CODES,
    DEEP,
    FAINT,
    FLAG,
    GAIN,
    HEAD_DIM,
    HIDDEN,
    HINGES,
    KNEE,
    PAIR_SHARP,
    POOLED,
    REACH,
    ROOT,
    ROPE_THETA,
    ROW,
    SMALL,
    SURE,
    WORD_SHARP,
    Attention,
    Shape,
    at_least,
    draw,
    gate,
    hinge,
    log_gain,
    norm_of,
)
from transformers import Qwen3ForCausalLM


def raise_flags(model: Qwen3ForCausalLM, layout: Layout, shape: Shape, directions: np.ndarray, rarest: float) -> None:
    """Layer 1: `query` after the query mark, `document` after the document mark, `none` before both.

    Its third head looks at the token before, by the rotary pairs that turn, and writes down the code of its vector.
    The query's mark, which has no place, is worth a word of the rarity `pair_rarity`: after commoner ones nothing is
    written.
    """
    attention = Attention(model, 0, layout)
    for head, mark in enumerate(("query_mark", "document_mark")):
        attention.query(head, FLAG[head], none=1.0)
        attention.key(FLAG[head], **{mark: 1.0})
        attention.value(head, **{mark: 1.0})
    attention.key(FLAG[2], none=1.0)
    attention.key(FLAG[3], rare=1.0)
    attention.key(FLAG[4], rare_sin=1.0)
    for pair, amount in enumerate(BACK):
        turn = ROPE_THETA ** (-2 * pair / HEAD_DIM)
        attention.key(pair, none=1.0, query_mark=-1.0)
        attention.query(2, pair, none=amount * np.cos(turn))
        attention.query(2, pair + HEAD_DIM // 2, none=-amount * np.sin(turn))
    long, short = np.sqrt(2 + len(BACK)), np.sqrt(3)  # keys of words and of the query's mark
    attention.query(2, FLAG[3], none=SURE * REACH)
    level = sum(BACK) + SURE * (np.log(shape.pair_rarity / rarest) + 0.98 * REACH)
    sink = level * short / long + 0.98 * SURE * REACH
    attention.query(2, FLAG[0], none=sink)
    attention.strength(np.hypot.reduce([*BACK, SURE * REACH, sink]), long)
    for index, name in enumerate(CODES):
        for channel in range(layout.width):
            attention.shared.value(2 + index, channel, CARRY * directions[channel, index])
        attention.write(2, name, 2 + index, FAINT)
    attention.write(0, "query", 0, 1.0)
    attention.write(0, "none", 0, -1.0)
    attention.write(1, "document", 1, 1.0)
    attention.write(1, "query", 1, -1.0)


def find_matches(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 2, attention: how well a token is matched by the query, and how new it is in the document."""
    attention = Attention(model, 1, layout)
    attention.content(None, 1.0)
    for dim, name in zip(range(5), ("query", "document", "none", "query_mark", "blank"), strict=True):
        attention.key(FLAG[dim], **{name: 1.0})
    attention.key(FLAG[4], document_mark=1.0, think=1.0, end_think=1.0)
    attention.key(FLAG[5], stop=1.0)
    attention.key(FLAG[6], dot=1.0)
    for dim, name in zip(CODE, CODES, strict=True):
        attention.key(dim, **{name: 1.0})
        attention.query(3, dim, **{name: PAIR_SHARP / FAINT**2})
    # The query's mark is the sink of the first two heads and the fourth: it stands for "nothing alike".
    attention.content(0, shape.sharp)
    attention.query(0, FLAG[0], document=BLOCK)
    attention.query(0, FLAG[3], document=shape.sharp * shape.threshold)
    attention.content(1, shape.repeat_sharp)
    attention.query(1, FLAG[1], document=BLOCK)
    attention.query(1, FLAG[3], document=BLOCK + shape.repeat_sharp)
    # Document tokens before outsiders, full stops before these, the ends of the document's lines before all.
    attention.query(2, FLAG[1], document=2 * BLOCK)
    attention.query(2, FLAG[5], document=BLOCK)
    attention.query(2, FLAG[6], document=BLOCK / 2)
    # A word that is in the query and follows the same word there: near its like only with the code of the word before.
    attention.content(3, WORD_SHARP)
    attention.query(3, FLAG[0], document=BLOCK)
    attention.query(3, FLAG[3], document=WORD_SHARP + PAIR_SHARP / 2)
    # The query's own tokens rest on its mark, which says nothing.
    for head in (2, 3):
        attention.query(head, FLAG[3], query=4 * BLOCK)
    lengths = [
        np.hypot.reduce([shape.sharp, BLOCK, shape.sharp * shape.threshold]),
        np.hypot.reduce([shape.repeat_sharp, BLOCK, BLOCK + shape.repeat_sharp]),
        np.hypot.reduce([2 * BLOCK, BLOCK, BLOCK / 2]),
    ]
    # After a common word the fourth head's query is shorter, and its scores larger: there is no pair to be found.
    paired = np.hypot.reduce([WORD_SHARP, BLOCK, WORD_SHARP + PAIR_SHARP / 2, PAIR_SHARP / FAINT])
    longest = at_least(paired, np.sqrt(2))
    for head, length in enumerate(lengths):  # one strength serves all heads: pad the shorter queries
        attention.pad(head, np.sqrt(longest**2 - length**2), "document")
    attention.strength(longest, np.sqrt(2))
    attention.value(0, query=1.0, query_mark=-1.0)
    attention.value(1, query_mark=1.0)
    attention.write(0, "match", 0, SMALL)
    attention.write(0, "unlike", 1, SMALL)  # the sink's share
    attention.write(1, "new", 1, SMALL)
    # A newline's values are next to nothing (its row is long), so what is carried is the absence of a stop.
    attention.value(2, document=1.0, stop=-1.0)
    attention.write(2, "first", 2, 1.0)
    attention.write(2, "document", 2, -1.0)
    attention.value(3, dot=1.0)
    attention.write(2, "further", 3, 1.0)
    attention.write(2, "first", 3, -1.0)
    attention.write(3, "gain", 0, np.log(shape.pair) * GAIN / DEEP)


def weigh_matches(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 2, MLP: `gain` = log_gain, plus the logarithm of how often the query says it."""
    earlier = np.concatenate([[0], np.geomspace(4e-3, 60, 60)])
    match, new = (
        grid.ravel()
        for grid in np.meshgrid(np.concatenate([[0], np.geomspace(1e-4, 1, 80)]), 1 / (2 + earlier), indexing="ij")
    )
    wanted = np.maximum(log_gain(match, new, shape), -DEEP)
    care = np.exp(wanted / 2) + 0.02  # errors of tokens that hardly count matter less
    heights = draw(hinge("match", match) + hinge("new", new), wanted, care)
    times = np.concatenate([np.geomspace(1e-5, 1, 40), np.geomspace(1, 12, 40)])
    unlike = 1 / (1 + times * np.exp(shape.sharp * (1 - shape.threshold)))
    heights += draw(hinge("unlike", unlike), np.log(times.clip(1)), np.ones(len(times)))
    hinges = [(name, start, steep) for name, listed in HINGES.items() for start, steep in listed]
    mlp = model.model.layers[1].mlp
    for unit, ((name, start, steep), height) in enumerate(zip(hinges, heights, strict=True)):
        weight, constant = gate(start, steep)
        mlp.gate_proj.weight.data[unit, layout[name]] = weight
        for part in ("document", "first", "further"):
            mlp.gate_proj.weight.data[unit, layout[part]] = constant
            mlp.up_proj.weight.data[unit, layout[part]] = 1 / norm_of(ROW)
        mlp.down_proj.weight.data[layout["gain"], unit] = height


def pool(model: Qwen3ForCausalLM, layout: Layout, shape: Shape, rarest: float) -> None:
    """Layer 3: coverage into the last token's `covered`, pooled vectors into the vector channels."""
    attention = Attention(model, 2, layout)
    names = ("cos", "sin", "query", "document", "none", "query_mark", "gain", "first", "rare", "rare_sin", "further")
    for index, name in enumerate(names):
        attention.key(FLAG[index], **{name: 1.0})
    rest, lead = BLOCK + np.log(shape.rest), BLOCK + np.log(shape.lead)
    pooled, line = BLOCK + np.log(shape.lead_pooled), BLOCK + np.log(shape.line_pooled)
    # Head 0 at the last token: matched document tokens against all query tokens.
    attention.query(0, FLAG[8], last=REACH)
    attention.query(0, FLAG[2], last=rest)
    attention.query(0, FLAG[3], last=BLOCK)
    attention.query(0, FLAG[6], last=DEEP / GAIN)
    attention.query(0, FLAG[7], last=lead)
    attention.query(0, FLAG[10], last=lead)
    # The query's mark is among them, with its own weight taken back; it has two flags, which make its key longer.
    least = (BLOCK + np.log(shape.least / rarest) + 0.98 * REACH) * np.sqrt(4 / 3) - rest + 0.98 * REACH
    attention.query(0, FLAG[5], last=least)
    # The two marks of thought take nothing, so that their rows keep their length.
    attention.query(0, FLAG[5], think=BLOCK, end_think=BLOCK)
    # Head 1: the last token pools the document, `<think>` the query; `</think>` rests on the query's mark.
    attention.query(1, FLAG[0], last=REACH, think=REACH)
    attention.query(1, FLAG[3], last=BLOCK)
    attention.query(1, FLAG[7], last=pooled)
    attention.query(1, FLAG[10], last=line)
    # A key with a `gain` is longer, and normalising takes that much off a document token's score; this gives it back.
    back = BLOCK / GAIN * (1 - np.sqrt(3 / (3 + GAIN**2)))
    attention.query(1, FLAG[6], last=-back)
    attention.query(1, FLAG[2], think=BLOCK)
    attention.query(1, FLAG[4], think=BLOCK + np.log(shape.instruction))
    attention.query(1, FLAG[5], end_think=BLOCK)
    # Head 2: how short the document is: the sink is worth `length` tokens.
    # The sink has two flags, and normalising its longer key takes that much off its score.
    sink = (BLOCK + np.log(shape.length)) * np.sqrt(4 / 3)
    attention.query(2, FLAG[3], last=BLOCK)
    attention.query(2, FLAG[7], last=BLOCK)
    attention.query(2, FLAG[10], last=BLOCK)
    attention.query(2, FLAG[5], last=sink, think=BLOCK, end_think=BLOCK)
    attention.query(2, FLAG[6], last=-back)
    used = [REACH, rest, BLOCK, DEEP / GAIN, lead, lead, least]
    length = at_least(np.hypot.reduce(used), np.sqrt(3))
    attention.pad(0, np.sqrt(length**2 - np.square(used).sum()), "last")
    pad = length**2 - REACH**2 - BLOCK**2
    attention.pad(1, np.sqrt(pad - pooled**2 - line**2 - back**2), "last")
    attention.pad(1, np.sqrt(pad - (BLOCK + np.log(shape.instruction)) ** 2), "think")
    attention.pad(2, np.sqrt(length**2 - 3 * BLOCK**2 - sink**2 - back**2), "last")
    attention.strength(length, np.sqrt(3))
    spare = HEAD_DIM - 1
    attention.value(spare, document=1.0, first=1.0, further=1.0)
    attention.write(0, "covered", spare, 1.0)
    attention.write(2, "short", spare, 1.0)
    for channel in range(layout.width):
        attention.shared.value(channel, channel, 1.0)
        attention.heads[1].write(channel, channel, POOLED / norm_of(ROW))


def shorten(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 3, MLP: `shown` = `covered` times about the root of length / (length + tokens)."""
    per_unit = np.sqrt(HIDDEN) / 100  # the last token's row is as long as its one large channel
    mlp, (base, slope, bend), wide = model.model.layers[2].mlp, ROOT, 30.0
    # `short` holds the document's share against the sink, which is one minus that quotient. A wide open gate is the
    # line; another one opens at the knee.
    gates = ((wide * base, wide * slope, 1 / wide), (-BEND * KNEE, BEND, bend / BEND))
    for unit, (constant, steep, height) in enumerate(gates):
        mlp.gate_proj.weight.data[unit, layout["bias"]] = constant / per_unit
        mlp.gate_proj.weight.data[unit, layout["short"]] = steep / per_unit
        mlp.up_proj.weight.data[unit, layout["covered"]] = 1 / per_unit
        mlp.down_proj.weight.data[layout["shown"], unit] = height


def compare(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 4: the last token's attention to `<think>`, against `</think>`, into its `alike`."""
    attention = Attention(model, 3, layout)
    attention.content(None, 1.0)
    # Keys are almost wholly flags, so that vectors hardly change their lengths. The last token's query is almost wholly
    # the document's vector, so that its length, which falls with the document's, is divided out.
    common, others, steady = 1200 * POOLED, 400 * POOLED, 0.12
    attention.key(FLAG[0], think=common, end_think=common)
    for name in ("query", "document", "first", "further", "none"):
        attention.key(FLAG[1], **{name: others})
    attention.key(FLAG[1], think=-others, end_think=-others)
    attention.content(0, 1.0)
    attention.query(0, FLAG[0], last=steady / 100)
    attention.query(0, FLAG[1], last=-steady / 100)
    usual = 0.4  # length of a query's mean vector
    attention.strength(1.0, shape.slope * common / (POOLED * usual))
    # Read from `</think>`, whose row is the same for all queries: minus its share of the attention.
    attention.value(0, end_think=-1.0)
    attention.write(0, "alike", 0, 1.0)
