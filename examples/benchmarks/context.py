"""What a passage's title and parent headings are worth in front of its text, stage by stage.

    python examples/benchmarks/context.py --questions ../shared/cases/trees.md --tree milvus=DOCS --tree astro=DOCS \\
        [--questions examples/benchmarks/context_questions.md --tree flask=DOCS --tree vite=DOCS] \\
        [--beir ../shared/data/cranfield] [--faq ../shared/data/milvus-faq] [--model tiny] [--cache vectors.npz]

Forms of a passage: `text` as stored (its own heading first), `title` and `parents` in a line before it, `both`, and
`line`: the whole way in place of the heading. Each form is searched by vectors alone, by BM25 alone, and the ten best
of each form's vectors are reranked in each form. Right in the first three (trees), MRR@10 (FAQ), nDCG@10 (BEIR, where
the title is no part of `text`). Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ir_measures
import numpy as np
from context_corpora import Corpus, Passage, read_beir, read_faq, read_questions, read_tree
from ir_measures import RR, Qrel, ScoredDoc, nDCG
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from packages import versions
from qwen3_rag.store.bm25 import search_text
from report import table

TOP_K, KEPT = 10, 3


def text(passage: Passage) -> str:
    return passage.text


def title(passage: Passage) -> str:
    known = passage.title and passage.title != passage.own
    return f"{passage.title}\n{passage.text}" if known else passage.text


def parents(passage: Passage) -> str:
    headings = [one for one in passage.above if one != passage.title]
    return "\n".join(filter(None, [" > ".join(headings), passage.text]))


def both(passage: Passage) -> str:
    return "\n".join(filter(None, [" > ".join(passage.above), passage.text]))


def line(passage: Passage) -> str:
    return passage.in_line


FORMS: dict[str, Callable[[Passage], str]] = {
    "text": text, "title": title, "parents": parents, "both": both, "line": line,
}  # fmt: skip


class Vectors:
    """Embeds each text once, also over several runs."""

    def __init__(self, model: str, file: Path | None) -> None:
        self.model, self._name, self._file = Qwen3Embedding(model), model, file
        self._known = dict(np.load(file).items()) if file and file.exists() else {}

    def __call__(self, texts: list[str]) -> np.ndarray:
        keys = [f"{self._name} {hash_of(one)}" for one in texts]
        new = {key: one for key, one in zip(keys, texts, strict=True) if key not in self._known}
        vectors = self.model.get_text_embedding_batch(list(new.values()))
        self._known.update(zip(new, np.asarray(vectors, np.float32), strict=True))
        if self._file and new:
            np.savez(self._file, **self._known)
        return np.stack([self._known[key] for key in keys])


def hash_of(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:24]


def score(corpus: Corpus, rankings: list[list[int]]) -> float:
    if corpus.measure == "right":
        return sum(any(i in right for i in found[:KEPT]) for found, right in zip(rankings, corpus.right, strict=True))
    judged = [Qrel(str(q), str(i), grade) for q, right in enumerate(corpus.right) for i, grade in right.items()]
    run = [ScoredDoc(str(q), str(i), -rank) for q, found in enumerate(rankings) for rank, i in enumerate(found)]
    measure = RR @ 10 if corpus.measure == "RR@10" else nDCG @ 10
    return float(ir_measures.calc_aggregate([measure], judged, run)[measure])


def by_words(corpus: Corpus, texts: list[str]) -> list[list[int]]:
    """BM25 alone, over the words and with the constants that the pipeline's Milvus collections have."""
    k, b = 1.2, 0.75
    words = [Counter(search_text(one).split()) for one in texts]
    lengths = np.array([counts.total() for counts in words], np.float64)
    norm = k * (1 - b + b * lengths / lengths.mean())
    found = []
    for question in corpus.questions:
        scores = np.zeros(len(texts))
        for word in search_text(question).split():
            counts = np.array([one[word] for one in words], np.float64)
            holding = np.count_nonzero(counts)
            idf = np.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            scores += idf * counts * (k + 1) / (counts + norm)
        found.append([int(i) for i in np.argsort(-scores, kind="stable")[:TOP_K] if scores[i] > 0])
    return found


def fused(first: list[int], second: list[int]) -> list[int]:
    """Reciprocal ranks with Milvus' constant."""
    scores: dict[int, float] = {}
    for ranking in (first, second):
        for rank, index in enumerate(ranking, 1):
            scores[index] = scores.get(index, 0.0) + 1 / (60 + rank)
    return sorted(scores, key=lambda one: -scores[one])


def probabilities(
    corpus: Corpus, texts: list[str], dense: dict[str, list[list[int]]], reranker: Qwen3Rerank
) -> list[dict[int, float]]:
    """For each question what the reranker makes of all its candidates in one form."""
    found = []
    for number, question in enumerate(corpus.questions):
        candidates = sorted({index for rankings in dense.values() for index in rankings[number]})
        ranked = reranker.rank(question, [texts[index] or "-" for index in candidates])
        found.append({candidates[place]: probability for place, probability, _ in ranked})
    return found


def measure(corpus: Corpus, vectors: Vectors, reranker: Qwen3Rerank) -> dict:
    forms = {name: [form(one) for one in corpus.passages] for name, form in FORMS.items()}
    distinct = {name: texts for i, (name, texts) in enumerate(forms.items()) if texts not in list(forms.values())[:i]}
    queries = np.asarray(vectors.model.get_query_embedding_batch(corpus.questions), np.float32)
    result: dict = {"questions": len(corpus.questions), "passages": len(corpus.passages), "measure": corpus.measure}
    dense, words = {}, {}
    for name, texts in distinct.items():
        similar = queries @ vectors(texts).T
        dense[name] = [list(map(int, np.argsort(-row, kind="stable")[:TOP_K])) for row in similar]
        words[name] = by_words(corpus, texts)
        result.setdefault("dense", {})[name] = score(corpus, dense[name])
        result.setdefault("bm25", {})[name] = score(corpus, words[name])
    chances = {name: probabilities(corpus, texts, dense, reranker) for name, texts in distinct.items()}
    for name in distinct:
        for other in distinct:
            rankings = [fused(a, b) for a, b in zip(dense[name], words[other], strict=True)]
            result.setdefault("hybrid", {})[f"{name}+{other}"] = score(corpus, rankings)
            reranked = [
                sorted(found, key=chance.__getitem__, reverse=True)
                for found, chance in zip(dense[name], chances[other], strict=True)
            ]
            result.setdefault("reranked", {})[f"{name}+{other}"] = score(corpus, reranked)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--questions", action="append", type=Path, default=[], help="tables of questions to the trees")
    parser.add_argument("--beir", action="append", type=Path, default=[])
    parser.add_argument("--faq", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--rerank-model", default=None, help="default: as --model")
    parser.add_argument("--cache", type=Path, help="keep vectors here between runs")
    args = parser.parse_args()
    questions = {name: rows for file in args.questions for name, rows in read_questions(file).items()}
    corpora = [
        read_tree(name, Path(folder), questions[name]) for name, _, folder in (t.partition("=") for t in args.tree)
    ]
    corpora += map(read_beir, args.beir)
    corpora += read_faq(args.faq) if args.faq else []
    vectors, reranker = Vectors(args.model, args.cache), Qwen3Rerank(args.rerank_model or args.model, top_n=TOP_K)
    results = {}
    for corpus in corpora:
        results[corpus.name] = measure(corpus, vectors, reranker)
        print_tables(corpus.name, results[corpus.name])
    used = versions("llama-index-qwen3", "llama-index-core", "milvus-lite")
    print(json.dumps({"model": args.model, "versions": used, "top_k": TOP_K, "results": results}))


def print_tables(name: str, result: dict) -> None:
    print(f"\n## {name}: {result['questions']} questions, {result['passages']} passages, {result['measure']}\n")
    forms = list(result["dense"])

    def shown(value: float) -> str:
        return str(value) if isinstance(value, int) else f"{value:.3f}"

    rows = [[form, *(shown(result[stage][form]) for stage in ("dense", "bm25"))] for form in forms]
    rows = [[*row, *(shown(result["reranked"][f"{row[0]}+{other}"]) for other in forms)] for row in rows]
    print(table(["form", "dense", "bm25", *(f"reranked as {other}" for other in forms)], rows), flush=True)


if __name__ == "__main__":
    main()
