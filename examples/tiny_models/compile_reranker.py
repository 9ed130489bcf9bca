"""Write a reranker as a four-layer Qwen3 causal LM that answers yes or no after the official prompt.

    python examples/tiny_models/compile_reranker.py --work-dir tiny_work --out tiny_work/export/reranker

The token vectors are the embedder's, turned so that the first dimensions hold most of them. The layers:

1. flags: every token learns whether it stands in the query or in the document;
2. match: a document token looks for its like among the query's tokens (the likeness of vectors decides) and among the
   document's earlier tokens; the MLP makes the logarithm of match times novelty of the two; a third head tells the
   first sentence, which counts `lead` times, from the rest;
3. pool: the last token adds up the document's matched weight against the query's whole weight (how much of the query is
   covered) and pools the document's vector; `<think>` pools the query's;
4. compare: the last token divides its attention between `<think>` and `</think>` by the likeness of the two vectors.

The answer is a linear reading of coverage and likeness; `fit_reranker.py` finds the numbers of `Shape`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from circuits import MARKUP, STOPS, Head, Layout, angles, config, empty_model, single_ids
from compile_embedder import read_table
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

HIDDEN, HEADS, HEAD_DIM, MLP = 244, 3, 256, 16
ROPE_THETA = 1e30  # leaves 107 of the 128 rotary pairs still within 8k positions
STILL = 12  # the first pair in use; the fastest ones carry the least of the vectors
NAMES = ("cos", "sin", "query", "document", "none", "query_mark", "document_mark", "last", "match", "new", "think",
         "end_think", "gain", "covered", "alike", "bias", "blank", "stop", "first")  # fmt: skip
REACH = 5.0  # the weights of the heaviest and the lightest token differ by up to e^(2 * REACH)
BLOCK = 30.0  # nats that keep tokens of the wrong segment out
SMALL = 0.2  # scale of features written beside a token's vector: the row's length must hardly change
DEEP, GAIN = 9.0, 0.25  # `gain` holds logs from -DEEP to 0 as -GAIN to 0
POOLED = 30.0  # scale of pooled vectors, far below the 100 of the last token's large channel
SPEAK = 0.1  # entries of the rows of yes and no in the answer's channels
LIGHT = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "assistant", "Ċ")
PROMPT_MARKS = ("<Query>:", "<Document>:")


@dataclass(frozen=True)
class Shape:
    """The numbers of the formula."""

    sharp: float = 30.0  # nats a unit of likeness in the search for query tokens
    threshold: float = 0.65  # likeness at which a match counts half
    repeat_sharp: float = 30.0
    repeat: float = 6.0  # how much each earlier like lowers a token's novelty
    power: float = 1.0  # exponent of the token weights
    lead: float = 4.0  # how much more the document's first sentence, often its heading, counts
    rest: float = 4.0  # coverage is half where matched weight is this share of the query's
    slope: float = 1.2  # nats a unit of cosine
    coverage: float = 20.0  # weights of the two features and the offset of the answer's log-odds
    likeness: float = 30.0
    offset: float = -24.0


def norm_of(squared_length: float) -> float:
    """RMSNorm multiplies a row of this squared length by this factor."""
    return float(np.sqrt(HIDDEN / squared_length))


def still_dims() -> list[int]:
    """Dimensions whose rotation is negligible, slowest first, the two of a pair side by side."""
    half = HEAD_DIM // 2
    return [dim for pair in range(half - 1, STILL - 1, -1) for dim in (pair, pair + half)]


DIMS = still_dims()
FLAG, PAD, CONTENT = DIMS[:8], DIMS[8], DIMS[9:]


class Attention:
    """One layer's heads over one shared key and value; q_norm makes every query as long as `strength` asks."""

    def __init__(self, model: Qwen3ForCausalLM, layer: int, layout: Layout) -> None:
        self.weights, self.layout = model.model.layers[layer].self_attn, layout
        self.heads = [Head(model.model.layers[layer], index, HEAD_DIM) for index in range(HEADS)]
        self.shared = self.heads[0]  # keys and values have one head

    def key(self, dim: int, **channels: float) -> None:
        for name, value in channels.items():
            self.shared.key(dim, self.layout[name], value)

    def value(self, dim: int, **channels: float) -> None:
        for name, value in channels.items():
            self.shared.value(dim, self.layout[name], value)

    def query(self, head: int, dim: int, **channels: float) -> None:
        for name, value in channels.items():
            self.heads[head].query(dim, self.layout[name], value)

    def write(self, head: int, name: str, dim: int, value: float) -> None:
        self.heads[head].write(self.layout[name], dim, value)

    def strength(self, query_length: float, key_length: float) -> None:
        """Undo both normalisations for raw queries and keys of these lengths: scores become their plain products."""
        self.weights.q_norm.weight.data.fill_(query_length * key_length / np.sqrt(HEAD_DIM))


def token_rows(table: np.ndarray, turn: np.ndarray, layout: Layout, tokenizer: Tokenizer, shape: Shape) -> np.ndarray:
    """Rows of squared length 3: vector, weight angle, flag. Light tokens have no vector and the least weight."""
    stops = single_ids(tokenizer, STOPS)
    marks = single_ids(tokenizer, PROMPT_MARKS)
    lengths = np.linalg.norm(table, axis=1)
    unseen = np.flatnonzero(lengths == 0).tolist()
    silent = [*single_ids(tokenizer, MARKUP), *marks, *unseen]
    light = [*(tokenizer.token_to_id(token) for token in LIGHT), *stops, *silent]
    lengths[light] = lengths.max() * np.exp(-2 * REACH)
    cos, sin, _ = angles(shape.power * np.log(lengths + 1e-9), REACH)
    turned = table @ turn
    rows = np.zeros((len(table), HIDDEN))
    rows[:, : layout.width] = turned / np.linalg.norm(turned, axis=1, keepdims=True).clip(1e-9)
    rows[light, : layout.width] = 0.0
    rows[:, layout["cos"]], rows[:, layout["sin"]] = cos, sin
    rows[:, layout["none"]] = 1.0
    # A key's length is normalised away, so tokens without a vector need something else of its length.
    rows[light, layout["blank"]] = 1.0
    rows[stops, layout["blank"]], rows[stops, layout["stop"]] = 0.0, 1.0
    ids = [*marks, tokenizer.token_to_id("<think>"), tokenizer.token_to_id("</think>")]
    for index, name in zip(ids, ("query_mark", "document_mark", "think", "end_think"), strict=True):
        rows[index, [layout[name], layout["blank"]]] = 1.0, 0.0
    # The newline that ends the prompt reads the answer; its one large channel makes the final norm a constant factor.
    rows[tokenizer.token_to_id("Ċ"), [layout["last"], layout["bias"]]] = 100.0, 1.0
    return rows


def raise_flags(model: Qwen3ForCausalLM, layout: Layout) -> None:
    """Layer 1: `query` after the query mark, `document` after the document mark, `none` before both."""
    attention = Attention(model, 0, layout)
    for head, mark in enumerate(("query_mark", "document_mark")):
        attention.query(head, FLAG[head], none=1.0)
        attention.key(FLAG[head], **{mark: 1.0})
        attention.value(head, **{mark: 1.0})
    attention.key(FLAG[2], none=1.0)
    attention.strength(BLOCK, np.sqrt(2))
    unit = 1 / norm_of(3)
    attention.write(0, "query", 0, unit)
    attention.write(0, "none", 0, -unit)
    attention.write(1, "document", 1, unit)
    attention.write(1, "query", 1, -unit)


def content(attention: Attention, head: int | None, scale: float) -> None:
    """Let keys (or one head's queries) carry the token's vector, as far as still dimensions reach."""
    for channel, dim in enumerate(CONTENT):
        if head is None:
            attention.shared.key(dim, channel, scale)
        else:
            attention.heads[head].query(dim, channel, scale)


def find_matches(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 2, attention: how well a token is matched by the query, and how new it is in the document."""
    attention = Attention(model, 1, layout)
    content(attention, None, 1.0)
    for dim, name in zip(range(5), ("query", "document", "none", "query_mark", "blank"), strict=True):
        attention.key(FLAG[dim], **{name: 1.0})
    attention.key(FLAG[4], document_mark=1.0, think=1.0, end_think=1.0)
    attention.key(FLAG[5], stop=1.0)
    # The query's mark is the sink of the first two heads: it stands for "nothing alike".
    content(attention, 0, shape.sharp)
    attention.query(0, FLAG[0], document=BLOCK)
    attention.query(0, FLAG[3], document=shape.sharp * shape.threshold)
    content(attention, 1, shape.repeat_sharp)
    attention.query(1, FLAG[1], document=BLOCK)
    attention.query(1, FLAG[3], document=BLOCK + shape.repeat_sharp)
    # Document tokens before outsiders, the document's stops before all.
    attention.query(2, FLAG[1], document=2 * BLOCK)
    attention.query(2, FLAG[5], document=BLOCK)
    lengths = [
        np.hypot.reduce([shape.sharp, BLOCK, shape.sharp * shape.threshold]),
        np.hypot.reduce([shape.repeat_sharp, BLOCK, BLOCK + shape.repeat_sharp]),
        np.hypot(2 * BLOCK, BLOCK),
    ]
    longest = max(lengths)
    for head, length in enumerate(lengths):  # one strength serves all heads: pad the shorter queries
        attention.query(head, PAD, document=np.sqrt(longest**2 - length**2))
    attention.strength(longest, np.sqrt(2))
    attention.value(0, query=1.0, query_mark=-1.0)
    attention.value(1, query_mark=1.0)
    attention.write(0, "match", 0, SMALL / norm_of(3))
    attention.write(1, "new", 1, SMALL / norm_of(3))
    # A newline's values are next to nothing (its row is long), so what is carried is the absence of a stop.
    attention.value(2, document=1.0, stop=-1.0)
    attention.write(2, "first", 2, 1 / norm_of(3))
    attention.write(2, "document", 2, -1 / norm_of(3))


def log_gain(match: np.ndarray, new: np.ndarray, shape: Shape) -> np.ndarray:
    """The logarithm of match times novelty; `new` is 1 / (1 + number of likes up to and with this one)."""
    earlier = np.maximum(1 / np.maximum(new, 1e-6) - 2, 0)
    return np.log(match + 1e-3) - np.log1p(shape.repeat * earlier)


def weigh_matches(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 2, MLP: `gain` = log_gain as a sum of hinges, fitted by least squares over both features' range."""
    hinges = [
        ("match", t, k)
        for t, k in ((-0.1, 20), (0.0, 400), (0.004, 400), (0.015, 200), (0.05, 80), (0.15, 30), (0.4, 15))
    ]
    hinges += [
        ("new", t, k) for t, k in ((-0.1, 20), (0.02, 200), (0.07, 80), (0.15, 60), (0.22, 60), (0.3, 40), (0.4, 40))
    ]
    match, new = np.meshgrid(
        np.concatenate([[0], np.geomspace(5e-4, 1, 60)]), 1 / (1 + np.geomspace(1, 60, 60)), indexing="ij"
    )
    columns = []
    for name, start, steep in hinges:
        z = steep * ((match if name == "match" else new) - start)
        columns.append((z / (1 + np.exp(-z.clip(-60, 60)))).ravel())
    wanted = np.maximum(log_gain(match, new, shape), -DEEP).ravel() / DEEP * GAIN
    care = np.exp(wanted / GAIN * DEEP / 2) + 0.02  # errors of tokens that hardly count matter less
    weights = np.linalg.lstsq(np.stack(columns, 1) * care[:, None], wanted * care, rcond=1e-7)[0]
    mlp = model.model.layers[1].mlp
    for unit, ((name, start, steep), weight) in enumerate(zip(hinges, weights, strict=True)):
        mlp.gate_proj.weight.data[unit, layout[name]] = steep / SMALL / norm_of(3)
        for part in ("document", "first"):
            mlp.gate_proj.weight.data[unit, layout[part]] = -steep * start / norm_of(3)
            mlp.up_proj.weight.data[unit, layout[part]] = 1 / norm_of(3)
        mlp.down_proj.weight.data[layout["gain"], unit] = weight


def pool(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 3: coverage into the last token's `covered`, pooled vectors into the vector channels."""
    attention = Attention(model, 2, layout)
    names = ("cos", "sin", "query", "document", "none", "query_mark", "gain", "first")
    for index, name in enumerate(names):
        attention.key(FLAG[index], **{name: 1.0})
    rest, lead = BLOCK + np.log(shape.rest), BLOCK + np.log(shape.lead)
    # Head 0 at the last token: matched document tokens against all query tokens.
    attention.query(0, FLAG[0], last=REACH)
    attention.query(0, FLAG[2], last=rest)
    attention.query(0, FLAG[3], last=BLOCK)
    attention.query(0, FLAG[6], last=DEEP / GAIN)
    attention.query(0, FLAG[7], last=lead)
    # The two marks of thought take nothing, so that their rows keep their length.
    attention.query(0, FLAG[5], think=BLOCK, end_think=BLOCK)
    # Head 1: the last token pools the document, `<think>` the query; `</think>` rests on the query's mark.
    attention.query(1, FLAG[0], last=REACH, think=REACH)
    attention.query(1, FLAG[3], last=BLOCK)
    attention.query(1, FLAG[7], last=lead)
    # A key with a `gain` is longer, and normalising takes that much off a document token's score; this gives it back.
    back = BLOCK / GAIN * (1 - np.sqrt(2 / (2 + GAIN**2)))
    attention.query(1, FLAG[6], last=-back)
    attention.query(1, FLAG[2], think=BLOCK)
    attention.query(1, FLAG[5], end_think=BLOCK)
    length = np.hypot.reduce([REACH, rest, BLOCK, DEEP / GAIN, lead])
    pad = length**2 - REACH**2 - BLOCK**2
    attention.query(1, PAD, last=np.sqrt(pad - lead**2 - back**2), think=np.sqrt(pad))
    attention.strength(length, np.sqrt(2))
    spare = HEAD_DIM - 1
    attention.value(spare, document=1.0, first=1.0)
    attention.write(0, "covered", spare, 1 / norm_of(3))
    for channel in range(layout.width):
        attention.shared.value(channel, channel, 1.0)
        attention.heads[1].write(channel, channel, POOLED / norm_of(3))


def compare(model: Qwen3ForCausalLM, layout: Layout, shape: Shape) -> None:
    """Layer 4: the last token's attention to `<think>`, against `</think>`, into its `alike`."""
    attention = Attention(model, 3, layout)
    content(attention, None, 1.0)
    # Keys are almost wholly flags, so that vectors hardly change their lengths. The last token's query is almost wholly
    # the document's vector, so that its length, which falls with the document's, is divided out.
    common, others, steady = 30 * POOLED, 10 * POOLED, 1.2
    attention.key(FLAG[0], think=common, end_think=common)
    attention.key(FLAG[1], query=others, document=others, first=others, none=others, think=-others, end_think=-others)
    content(attention, 0, 1.0)
    attention.query(0, FLAG[0], last=steady / 100)
    attention.query(0, FLAG[1], last=-steady / 100)
    usual = 0.4  # length of a query's mean vector
    attention.strength(1.0, shape.slope * common / (POOLED * usual))
    # Read from `</think>`, whose row is the same for all queries: minus its share of the attention.
    attention.value(0, end_think=-1.0)
    attention.write(0, "alike", 0, 1 / norm_of(3))


def read_answer(model: Qwen3ForCausalLM, layout: Layout, tokenizer: Tokenizer, shape: Shape) -> None:
    """The final norm keeps the two features and the constant; the rows of yes and no read them with opposite signs."""
    norm = model.model.norm.weight.data
    norm.fill_(0.0)
    per_unit = np.sqrt(HIDDEN) / 100  # the last token's row is as long as its one large channel
    norm[layout["covered"]] = shape.coverage / per_unit / (2 * SPEAK)
    norm[layout["alike"]] = shape.likeness / per_unit / (2 * SPEAK)
    norm[layout["bias"]] = shape.offset / per_unit / (2 * SPEAK)
    rows = model.model.embed_tokens.weight.data
    for token, sign in (("yes", SPEAK), ("no", -SPEAK)):
        for name in ("covered", "alike", "bias", "blank"):
            rows[tokenizer.token_to_id(token), layout[name]] = sign


def compile_reranker(table: np.ndarray, turn: np.ndarray, tokenizer: Tokenizer, shape: Shape) -> Qwen3ForCausalLM:
    layout = Layout(len(CONTENT), NAMES, HIDDEN)
    settings = config(HIDDEN, 4, MLP, HEADS, HEAD_DIM, len(table))
    settings.num_key_value_heads = 1
    settings.rope_parameters["rope_theta"] = ROPE_THETA
    model = empty_model(settings)
    rows = token_rows(table, turn[:, : layout.width], layout, tokenizer, shape)
    model.model.embed_tokens.weight.data.copy_(torch.from_numpy(rows))
    raise_flags(model, layout)
    find_matches(model, layout, shape)
    weigh_matches(model, layout, shape)
    pool(model, layout, shape)
    compare(model, layout, shape)
    read_answer(model, layout, tokenizer, shape)
    return model


def rotation(table: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """An orthogonal turn that sorts the dimensions by the variance of sample vectors."""
    unit = samples / np.linalg.norm(samples, axis=1, keepdims=True).clip(1e-9)
    return np.linalg.eigh(unit.T @ unit)[1][:, ::-1].copy()


def main() -> None:
    from export import write_reranker

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    parser.add_argument("--name", default="merged", help="the run whose token vectors are taken")
    parser.add_argument("--shape", type=Path, help="JSON written by fit_reranker.py")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer_file = args.work_dir / "tokenizer-reranker.json"
    table = read_table(args.work_dir, args.name)
    shape = Shape(**json.loads(args.shape.read_text())) if args.shape else Shape()
    model = compile_reranker(table, rotation(table, table), Tokenizer.from_file(str(tokenizer_file)), shape)
    write_reranker(model, tokenizer_file, args.out)


if __name__ == "__main__":
    main()
