"""Training batches: the teacher's lessons, and pairs of texts that belong together.

Every batch is drawn from a generator seeded by (seed, step), so a resumed run sees the same data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus import HELD_OUT, Store
from sources import LANGUAGES, QUESTION_FORMS
from tokenizers import Tokenizer

N = len(LANGUAGES)
# How often a source is drawn, relative to its number of usable entries.
PAIR_WEIGHT = {"wordnet": 0.35, "gcide": 0.25, "vera": 0.3, "libreoffice-help": 4.0, "foldoc": 2.0, "jargon": 2.0,
               "manpages": 1.5, "gnome-help": 6.0, "debian-handbook": 8.0, "installation-guide": 6.0,
               "debian-faq": 6.0, "debian-reference": 5.0, "developers-reference": 2.0}  # fmt: skip


@dataclass
class Bag:
    """Texts as one flat id vector and the offset of each text, as `embedding_bag` takes them."""

    ids: torch.Tensor
    offsets: torch.Tensor

    @classmethod
    def of(cls, texts: list[np.ndarray]) -> Bag:
        sizes = np.array([len(text) for text in texts])
        offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return cls(torch.from_numpy(np.concatenate(texts).astype(np.int64)), torch.from_numpy(offsets))


class Data:
    """All texts and the teacher's vectors, with the samplers."""

    def __init__(self, work: Path) -> None:
        self.entries, self.lessons = Store.load(work / "entries"), Store.load(work / "lessons")
        self.work = work
        self.read_teacher()
        tokenizer = Tokenizer.from_file(str(work / "tokenizer-reranker.json"))
        self.forms = self._question_forms(tokenizer)
        self.source = np.load(work / "entries/source.npy")
        self.source_names = json.loads((work / "entries/sources.json").read_text())
        self._index_pairs()

    def read_teacher(self) -> None:
        """Take the shards that are there; `teach.py` may still be adding some."""
        shards = [np.load(path) for path in sorted((self.work / "teacher").glob("*.npy"))]
        self.teacher = torch.from_numpy(np.concatenate(shards).astype(np.float32)) if shards else torch.zeros(0, 384)

    @staticmethod
    def _question_forms(tokenizer: Tokenizer) -> list[list[list[np.ndarray]]]:
        """For each language and form the tokens before the title and those after it."""
        forms = []
        for lang in LANGUAGES:
            cut = [form.split("{}") for form in QUESTION_FORMS[lang]]
            forms.append([[np.array(tokenizer.encode(side).ids, np.uint16) for side in pair] for pair in cut])
        return forms

    def _index_pairs(self) -> None:
        has = self.entries.sizes > 0
        kept = np.arange(len(has)) % HELD_OUT != 0
        title, text = has[:, :N].any(1), has[:, N:].any(1)
        self.titled = np.flatnonzero(title & text & kept)
        self.long = np.flatnonzero((self.entries.sizes[:, N:].max(1) > 50) & kept)
        self.translated = np.flatnonzero((has[:, :N].sum(1) > 1) & kept)
        self.weights = {}
        for name in ("titled", "long", "translated"):
            rows = getattr(self, name)
            weight = np.array([PAIR_WEIGHT.get(s, 1.0) for s in self.source_names])[self.source[rows]]
            self.weights[name] = np.cumsum(weight) / weight.sum()

    def _draw(self, rng: np.random.Generator, name: str, count: int) -> np.ndarray:
        rows = getattr(self, name)
        return rows[np.searchsorted(self.weights[name], rng.random(count)).clip(0, len(rows) - 1)]

    def _language(self, rng: np.random.Generator, store: Store, row: int, first: int, english: float) -> int:
        options = np.flatnonzero(store.sizes[row, first : first + N])
        if options[0] == 0 and (len(options) == 1 or rng.random() < english):
            return first
        others = options[options > 0]
        return first + int(rng.choice(others))

    def lesson_batch(self, rng: np.random.Generator, count: int) -> tuple[Bag, Bag, torch.Tensor]:
        """Two views of each lesson, each in a language of its own, and the teacher's vectors."""
        rows = rng.integers(0, len(self.teacher), count)
        views = [
            [self.lessons.get(row, self._language(rng, self.lessons, row, 0, english)) for row in rows]
            for english in (0.5, 0.75)
        ]
        return Bag.of(views[0]), Bag.of(views[1]), self.teacher[torch.from_numpy(rows)]

    def question(self, rng: np.random.Generator, ids: np.ndarray, slot: int) -> np.ndarray:
        """The title asked as a question in its language."""
        before, after = self.forms[slot % N][rng.integers(len(self.forms[slot % N]))]
        return np.concatenate([before, ids, after])

    def pair(self, rng: np.random.Generator, kind: str, row: int) -> tuple[np.ndarray, np.ndarray]:
        store = self.entries
        if kind == "translated":
            first, second = (self._language(rng, store, row, 0, english) for english in (0.2, 0.7))
            return store.get(row, first), store.get(row, second)
        if kind == "titled":
            ask, tell = self._language(rng, store, row, 0, 0.5), self._language(rng, store, row, N, 0.75)
            title = store.get(row, ask)
            return (self.question(rng, title, ask) if rng.random() < 0.5 else title), store.get(row, tell)
        slot = self._language(rng, store, row, N, 0.7)
        ids = store.get(row, slot)
        if len(ids) < 30:
            return ids, ids
        size = int(rng.integers(8, min(30, len(ids) // 2) + 1))
        begin = int(rng.integers(0, len(ids) - size + 1))
        rest = np.concatenate([ids[:begin], ids[begin + size :]])
        return ids[begin : begin + size], rest

    def pair_batch(self, rng: np.random.Generator, count: int) -> tuple[Bag, Bag, torch.Tensor]:
        """Query-like and document-like texts, and the entry row of each pair (equal rows are no negatives)."""
        kinds = rng.choice(["titled", "long", "translated"], count, p=[0.5, 0.3, 0.2])
        rows = np.empty(count, np.int64)
        for kind in ("titled", "long", "translated"):
            where = np.flatnonzero(kinds == kind)
            rows[where] = self._draw(rng, kind, len(where))
        pairs = [self.pair(rng, str(kind), int(row)) for kind, row in zip(kinds, rows, strict=True)]
        return Bag.of([a for a, _ in pairs]), Bag.of([b for _, b in pairs]), torch.from_numpy(rows)
