"""Parts of the compiled reranker: its numbers, the rows of its tokens, heads, and an MLP that draws logarithms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from circuits import MARKUP, STOPS, Head, Layout, angles, single_ids
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

HIDDEN, HEADS, HEAD_DIM, MLP = 280, 4, 288, 24
ROPE_THETA = 1e38  # leaves 128 of the 144 rotary pairs still within 8k positions
STILL = 13  # the first pair that carries anything but places; the fastest ones carry the least of the vectors
# How much each of the fastest pairs adds to a search for the place before: all others lose 13 nats or more.
BACK = (27.0, 10.0, 13.0, 13.0, 10.0, 4.0, 11.0, 12.0)
CODES = tuple(f"code{index}" for index in range(9))  # which word stands before, in short
NAMES = ("cos", "sin", "rare", "rare_sin", "query", "document", "none", "query_mark", "document_mark", "last", "match",
         "new", "unlike", "think", "end_think", "gain", "covered", "short", "shown", "alike", "bias", "blank",
         "stop", "dot", "first", "further", *CODES)  # fmt: skip
ROW = 4  # squared length of a token's row: its vector, two weights as angles, its flag
REACH = 5.0  # the weights of the heaviest and the lightest token differ by up to e^(2 * REACH)
BLOCK = 30.0  # nats that keep tokens of the wrong segment out
SMALL = 0.125  # scale of features written beside a token's vector: the row's length must hardly change
FAINT = 0.02  # scale of codes: a key with one is hardly longer
SURE = 3.0  # how sharply the rarity of the word before decides
WORD_SHARP, PAIR_SHARP = 40.0, 14.0  # nats a unit of likeness of words, and of the codes of the words before them
CARRY = 1.015625  # of values; this one and 1 / (CARRY * norm_of(ROW)) lose next to nothing to bfloat16 together
DEEP, GAIN = 11.0, 0.1  # `gain` holds logs from -DEEP to 0 as -GAIN to 0
POOLED = 30.0  # scale of pooled vectors, far below the 100 of the last token's large channel
SPEAK = 0.1  # entries of the rows of yes and no in the answer's channels
ROOT = (1.01, -0.59, -0.238)  # the root of 1 - x for x up to 0.7: a line with a knee
KNEE, BEND = 0.5, 60.0
DOTS = (".", "。")
LINE_END = "\n"  # what stands before the first one is the title or heading, which counts more
LIGHT = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "assistant", "Ċ")
PROMPT_MARKS = ("<Query>:", "<Document>:")


@dataclass(frozen=True)
class Shape:
    """The numbers of the formula."""

    sharp: float = 25.0  # nats a unit of likeness in the search for query tokens
    threshold: float = 0.6  # likeness at which a match counts half
    repeat_sharp: float = 10.0
    repeat: float = 6.0  # how much each earlier like lowers a token's novelty
    length: float = 263.0  # a document of this many tokens has its coverage divided by the root of 2
    lead: float = 2.0  # how much more matches in the document's first line, its title or heading, count
    lead_pooled: float = 6.0  # and its tokens in the document's vector, up to the first full stop
    line_pooled: float = 3.0  # and after it: a passage without a title is one long line
    pair: float = 1.5  # how much more a word counts that follows the same word in query and document
    pair_rarity: float = 1.0  # of the word before, at which it tells half: what follows "the" says nothing
    instruction: float = 0.003  # what its words, and the prompt's around them, count in the query's vector
    rest: float = 2.0  # coverage is half where matched weight is this share of the query's
    least: float = 15.0  # and this much rarity more, which makes the coverage of short queries less sure
    slope: float = 0.3  # nats a unit of likeness, that of vectors of a usual length
    coverage: float = 30.7  # weights of the two features and the offset of the answer's log-odds
    likeness: float = 274.0
    offset: float = 126.8


def norm_of(squared_length: float) -> float:
    """RMSNorm multiplies a row of this squared length by this factor."""
    return float(np.sqrt(HIDDEN / squared_length))


def still_dims() -> list[int]:
    """Dimensions whose rotation is negligible, slowest first, the two of a pair side by side."""
    half = HEAD_DIM // 2
    return [dim for pair in range(half - 1, STILL - 1, -1) for dim in (pair, pair + half)]


DIMS = still_dims()
FLAG, PAD, CONTENT = DIMS[:11], DIMS[11], DIMS[12:257]
FINE_PAD = 0  # it turns, which a query alone does not mind
CODE = (*DIMS[257:], *FLAG[7:])  # these flags are not needed where codes are


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
            self.shared.value(dim, self.layout[name], CARRY * value)

    def query(self, head: int, dim: int, **channels: float) -> None:
        for name, value in channels.items():
            self.heads[head].query(dim, self.layout[name], value)

    def content(self, head: int | None, scale: float) -> None:
        """Let keys (or one head's queries) carry the token's vector."""
        for channel, dim in enumerate(CONTENT):
            (self.shared.key if head is None else self.heads[head].query)(dim, channel, scale)

    def write(self, head: int, name: str, dim: int, value: float) -> None:
        """`value`: what a token that all attention is on adds where its `value` is 1."""
        self.heads[head].write(self.layout[name], dim, value / CARRY / norm_of(ROW))

    def pad(self, head: int, length: float, name: str) -> None:
        """Make a query longer where no key is; the second dimension is what rounding takes from the first."""
        coarse = rounded(length * (1 - 2**-8))
        self.query(head, PAD, **{name: coarse})
        self.query(head, FINE_PAD, **{name: float(np.sqrt(length**2 - coarse**2))})

    def strength(self, query_length: float, key_length: float) -> None:
        """Undo both normalisations for raw queries and keys of these lengths: scores become their plain products."""
        self.weights.q_norm.weight.data.fill_(query_length * key_length / np.sqrt(HEAD_DIM))


def at_least(query_length: float, key_length: float) -> float:
    """The next longer query whose `strength` rounding leaves as it is."""
    factor = query_length * key_length / np.sqrt(HEAD_DIM)
    step = 2.0 ** (np.floor(np.log2(factor)) - 7)
    return float(np.ceil(factor / step) * step * np.sqrt(HEAD_DIM) / key_length)


def rotation(table: np.ndarray) -> np.ndarray:
    """An orthogonal turn that sorts the dimensions by the variance of the token vectors."""
    unit = table / np.linalg.norm(table, axis=1, keepdims=True).clip(1e-9)
    return np.linalg.eigh(unit.T @ unit)[1][:, ::-1].copy()


def code_directions(turned: np.ndarray, rarity: np.ndarray) -> np.ndarray:
    """(width, codes): a fixed random look at a vector, of length 1 in the mean over the words."""
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((turned.shape[1],) * 2))[0][:, : len(CODES)]
    scaled: np.ndarray = turn / np.sqrt(((turned[rarity > 0] @ turn) ** 2).sum(1).mean())
    return scaled


def token_rows(
    table: np.ndarray, rarity: np.ndarray, turn: np.ndarray, layout: Layout, tokenizer: Tokenizer
) -> np.ndarray:
    """Rows of squared length ROW: vector, weight angles, flag. Light tokens have no vector and the least weight."""
    stops, dots = single_ids(tokenizer, (LINE_END,)), single_ids(tokenizer, DOTS)
    marks = single_ids(tokenizer, PROMPT_MARKS)
    lengths = np.linalg.norm(table, axis=1)
    unseen = np.flatnonzero(lengths == 0).tolist()
    silent = [*single_ids(tokenizer, MARKUP), *marks, *unseen]
    light = [*(tokenizer.token_to_id(token) for token in LIGHT), *single_ids(tokenizer, STOPS), *silent]
    lengths[light], rarity[light] = 0.0, 0.0
    lengths[rarity == 0] = 0.0  # signs say nothing of what a text is about
    cos, sin, _ = angles(np.log(lengths + 1e-9), REACH)
    rare, rare_sin, _ = angles(np.log(rarity + 1e-9), REACH)
    turned = table @ turn
    rows = np.zeros((len(table), HIDDEN))
    rows[:, : layout.width] = turned / np.linalg.norm(turned, axis=1, keepdims=True).clip(1e-9)
    rows[light, : layout.width] = 0.0
    rows[:, layout["cos"]], rows[:, layout["sin"]] = cos, sin
    rows[:, layout["rare"]], rows[:, layout["rare_sin"]] = rare, rare_sin
    rows[:, layout["none"]] = 1.0
    # A key's length is normalised away, so tokens without a vector need something else of its length.
    rows[light, layout["blank"]] = 1.0
    for ids, name in ((stops, "stop"), (dots, "dot")):
        rows[ids, layout["blank"]], rows[ids, layout[name]] = 0.0, 1.0
    ids = [*marks, tokenizer.token_to_id("<think>"), tokenizer.token_to_id("</think>")]
    for index, name in zip(ids, ("query_mark", "document_mark", "think", "end_think"), strict=True):
        rows[index, [layout[name], layout["blank"]]] = 1.0, 0.0
    # The newline that ends the prompt reads the answer; its one large channel makes the final norm a constant factor.
    rows[tokenizer.token_to_id("Ċ"), [layout["last"], layout["bias"]]] = 100.0, 1.0
    return rows


HINGES = {
    "match": ((-0.1, 16), (0.0, 2500), (0.0008, 2000), (0.005, 500), (0.02, 160), (0.05, 50), (0.14, 50), (0.42, 13),
              (0.72, 7)),
    "new": ((-0.1, 40), (0.016, 100), (0.074, 315), (0.127, 90), (0.213, 90), (0.319, 100), (0.402, 80),
            (0.447, 150), (0.478, 115)),
    "unlike": ((4.5e-5, -4e5), (3e-5, -6.2e5), (1.8e-5, -3.2e5), (1.1e-5, -1e6), (5e-6, -6e5)),
}  # fmt: skip  # starts and steepnesses, negative below the start, of the hinges by which the MLP draws each logarithm


def log_gain(match: np.ndarray, new: np.ndarray, shape: Shape) -> np.ndarray:
    """The logarithm of match times novelty; `new` is 1 / (1 + number of likes up to and with this one)."""
    earlier = np.maximum(1 / np.maximum(new, 1e-6) - 2, 0)
    return np.log(match + 2e-4) - np.log1p(shape.repeat * earlier)


def rounded(value: float) -> float:
    """The number that is left of this one in an exported checkpoint."""
    return float(torch.tensor(value, dtype=torch.float32).bfloat16())


def gate(start: float, steep: float) -> tuple[float, float]:
    """Weights of a hinge's feature, which lies in its channel at the scale SMALL, and of the constant."""
    return rounded(steep / SMALL / norm_of(ROW)), rounded(-steep * start / norm_of(ROW))


def hinge(name: str, values: np.ndarray) -> list[np.ndarray]:
    bent = [
        norm_of(ROW) * (SMALL * weight * values + constant) for weight, constant in (gate(*at) for at in HINGES[name])
    ]
    return [z / (1 + np.exp(-z.clip(-60, 60))) for z in bent]


def draw(columns: list[np.ndarray], wanted: np.ndarray, care: np.ndarray) -> list[float]:
    """Heights of the hinges by least squares; `care` says how much an error matters.

    They are rounded one by one, and the next ones make up for it: together they are far nearer to the curve than each
    is to its height.
    """
    basis, rest = np.stack(columns, 1) * care[:, None], wanted / DEEP * GAIN * care
    heights: list[float] = []
    for unit in range(len(columns)):
        heights.append(rounded(np.linalg.lstsq(basis[:, unit:], rest, rcond=1e-7)[0][0]))
        rest = rest - heights[-1] * basis[:, unit]
    return heights
