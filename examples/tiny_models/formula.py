"""What the compiled reranker computes, in numpy: the likeness of two texts and how much of the query is covered.

`fit_reranker.py` fits the weights of both on whole lists, which the model itself would take hours to read.
"""

from __future__ import annotations

import numpy as np
from reranker_parts import BLOCK, CONTENT, FAINT, PAIR_SHARP, REACH, SURE, WORD_SHARP, Shape, code_directions, rotation


class Formula:
    """Both features of (query tokens, passage tokens) pairs."""

    def __init__(
        self, table: np.ndarray, rarity: np.ndarray, line_end: int, shape: Shape, dots: tuple[int, ...]
    ) -> None:
        """`table`: (tokens, width) vectors as long as their weights; `rarity`: (tokens,), 0 for signs."""
        self.weights = np.linalg.norm(table, axis=1)
        self.units = (table / self.weights.clip(1e-9)[:, None]).astype(np.float32)
        self.weights = self.weights.clip(self.weights.max() * np.exp(-2 * REACH))
        self.rarity, self.line_end, self.shape, self.dots = rarity, line_end, shape, np.array(dots)
        words = self.units @ rotation(table)[:, : len(CONTENT)]
        telling = 1 / (1 + (shape.pair_rarity / rarity.clip(1e-6)) ** SURE)
        self.codes = (words @ code_directions(words, rarity) * telling[:, None]).astype(np.float32)
        self.novelty: dict[bytes, np.ndarray] = {}

    def first_line(self, tokens: np.ndarray) -> np.ndarray:
        """Which tokens stand before the first end of a line: all where there is none."""
        return np.cumsum(tokens == self.line_end) == 0

    def pooled(self, tokens: np.ndarray, lead: float, line: float) -> np.ndarray:
        """A text's mean vector; its first line counts `lead` times, and `line` times after its first full stop."""
        opening = np.cumsum(np.isin(tokens, self.dots)) == 0
        weights = self.weights[tokens] * np.where(self.first_line(tokens), np.where(opening, lead, line), 1.0)
        weights *= self.rarity[tokens] > 0
        mean: np.ndarray = weights @ self.units[tokens] / (weights.sum() + 1e-9)
        return mean

    def new(self, tokens: np.ndarray) -> np.ndarray:
        """What each token still counts after its likes before it."""
        kept = self.novelty.get(tokens.tobytes())
        if kept is None:
            distinct, where = np.unique(tokens, return_inverse=True)
            like = np.minimum(self.units[distinct] @ self.units[distinct].T, 1.0)
            earlier = np.tril(np.exp(self.shape.repeat_sharp * (like - 1))[where][:, where], -1).sum(1)
            kept = self.novelty[tokens.tobytes()] = 1 / (1 + self.shape.repeat * earlier)
        return kept

    def paired(self, query: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """From 0 to 1: how surely each token is one of the query's and follows the same word as there."""
        before = [np.concatenate([np.zeros((1, len(self.codes[0]))), self.codes[t[:-1]]]) for t in (query, tokens)]
        like = self.units[query] @ self.units[tokens].T
        like[query[:, None] == tokens[None]] = 1.0
        # As in the model, the code of the word before makes keys and queries longer, and their scores smaller.
        needed = BLOCK + WORD_SHARP + PAIR_SHARP / 2
        key = np.sqrt(1 + (FAINT * np.linalg.norm(before[0], axis=1)) ** 2 / 2)[:, None]
        usual, code = WORD_SHARP**2 + BLOCK**2 + (needed - BLOCK) ** 2, PAIR_SHARP / FAINT
        longer = np.sqrt((usual + code**2) / (usual + (code * np.linalg.norm(before[1], axis=1)) ** 2))
        scores = (BLOCK + WORD_SHARP * like + PAIR_SHARP * before[0] @ before[1].T) / key - needed
        odds = np.exp((longer * scores).clip(-50, 50))[self.rarity[query] > 0].sum(0)
        sure: np.ndarray = odds / (1 + odds)
        return sure

    def features(self, query: np.ndarray, passages: list[np.ndarray]) -> np.ndarray:
        """(passages, 2): `shown`, from 0 to 1, and the cosine times the length of the query's mean vector.

        That length is near 1 for a query of one word and falls with every word of another kind, so a long query
        leans more on what is covered.
        """
        shape, asked = self.shape, query[self.rarity[query] > 0]
        asked = asked if len(asked) else query
        words, times = np.unique(asked, return_counts=True)
        own, whole = self.pooled(query, 1.0, 1.0), float(self.rarity[asked].sum()) + 1e-9
        out = np.zeros((len(passages), 2))
        for row, tokens in enumerate(passages):
            like = self.units[words] @ self.units[tokens].T
            like[words[:, None] == tokens[None]] = 1.0
            odds = (np.exp(shape.sharp * (like - shape.threshold)) * times[:, None]).sum(0)
            said = np.maximum(1.0, (np.exp(shape.sharp * (like - 1)) * times[:, None]).sum(0))
            gains = self.rarity[tokens] * odds / (1 + odds) * self.new(tokens) * said
            gains *= shape.pair ** self.paired(query, tokens)
            matched = float((gains * np.where(self.first_line(tokens), shape.lead, 1.0)).sum()) / whole
            short = shape.length / (shape.length + len(tokens))
            near = self.pooled(tokens, shape.lead_pooled, shape.line_pooled)
            out[row, 0] = matched / (matched + shape.rest + shape.least / whole) * np.sqrt(short)
            out[row, 1] = own @ near / max(float(np.linalg.norm(near)), 1e-9)
        return out
