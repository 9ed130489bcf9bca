"""The texts to measure on: real ones for their lengths, and never the same text twice in one process.

Passages are the Milvus FAQ and abstracts the Cranfield collection where `../shared/data` has them, else both are the
sections of the bundled knowledge base. A server may answer a repeated text from its cache, so every round gets other
texts; when a pool is used up its texts come again with their words rotated, which keeps the lengths.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
KNOWLEDGE = ROOT / "pipelines" / "qwen3_rag" / "knowledge"
# Rounds from here on are for warming up and for checking results, and are never timed.
UNTIMED = 10_000


@dataclass(frozen=True)
class Job:
    """One call: passages to score for a query, documents to embed, or (without texts) a query to embed."""

    query: str = ""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """A row of the table. `jobs(round)` are timed one by one; `check` are the jobs whose results are compared."""

    name: str
    title: str
    kind: str
    jobs: Callable[[int], list[Job]]
    check: tuple[Job, ...]


def works(few: int = 10, many: int = 100, asked: int = 8) -> dict[str, Work]:
    """The rows of the table, with `few` FAQ passages, `many` abstracts and `asked` queries to embed in a round."""

    def rerank_passages(turn: int) -> list[Job]:
        return [Job(one_query("passages", turn), deal("passages", few, turn))]

    def rerank_abstracts(turn: int) -> list[Job]:
        return [Job(one_query("abstracts", turn), deal("abstracts", many, turn))]

    def embed_abstracts(turn: int) -> list[Job]:
        return [Job(texts=deal("abstracts", many, turn))]

    def embed_query(turn: int) -> list[Job]:
        return [Job(one_query("abstracts", asked * turn + index)) for index in range(asked)]

    checked = min(many, 8)
    rows = [
        Work(
            "rerank-passages",
            f"rerank {few} FAQ passages",
            "reranker",
            rerank_passages,
            (Job(one_query("passages", UNTIMED), deal("passages", 5 * few, UNTIMED)),),
        ),
        Work(
            "rerank-abstracts",
            f"rerank {many} abstracts",
            "reranker",
            rerank_abstracts,
            (Job(one_query("abstracts", UNTIMED), deal("abstracts", checked, UNTIMED)),),
        ),
        Work(
            "embed-abstracts",
            f"embed {many} abstracts",
            "embedding",
            embed_abstracts,
            (Job(texts=deal("abstracts", checked, UNTIMED)),),
        ),
        Work("embed-query", "embed one query", "embedding", embed_query, tuple(embed_query(UNTIMED))),
    ]
    return {row.name: row for row in rows}


def deal(pool: str, count: int, turn: int) -> tuple[str, ...]:
    """`count` texts of `pool`, disjoint between turns, each turn with the pool's spread of lengths, in mixed order."""
    texts = sorted(_pools()[pool], key=len)
    while len(texts) < count:
        texts = sorted(texts + [_rotated(text, len(texts)) for text in texts], key=len)
    groups = len(texts) // count
    cycle, group = divmod(turn, groups)
    dealt = [_rotated(text, 3 * cycle) for text in texts[group::groups][:count]]
    random.Random(turn).shuffle(dealt)
    return tuple(dealt)


def one_query(pool: str, turn: int) -> str:
    """A question about `pool`, another one each turn."""
    questions = _pools()[f"{pool}-queries"]
    cycle, index = divmod(turn, len(questions))
    return _rotated(questions[index], cycle)


def source() -> str:
    """Where the texts come from, in words."""
    return "Milvus FAQ and Cranfield" if DATA.is_dir() else "the bundled knowledge base"


@cache
def _pools() -> dict[str, list[str]]:
    if not DATA.is_dir():
        sections = [part for path in sorted(KNOWLEDGE.glob("*.md")) for part in _sections(path)]
        asked = [section.splitlines()[0].strip("# ") for section in sections]
        return {"passages": sections, "abstracts": sections, "passages-queries": asked, "abstracts-queries": asked}
    files = [*sorted((DATA / "milvus-faq").glob("*faq.md")), DATA / "milvus-faq" / "troubleshooting.md"]
    chunks = [part for path in files for part in _sections(path)]
    return {
        "passages": [chunk for chunk in chunks if len(chunk) > 250],  # ten have about 1,150 tokens
        "abstracts": [text for row in _rows("corpus.jsonl") if (text := str(row["text"]).strip())],
        "passages-queries": [chunk.splitlines()[0].strip("# ") for chunk in chunks if "?" in chunk.splitlines()[0]],
        "abstracts-queries": [str(row["text"]) for row in _rows("queries.jsonl")],
    }


def _sections(path: Path) -> list[str]:
    """A file cut at its headings, as the tutorial cuts; front matter and bare headings are left out."""
    parts = [part.strip() for part in path.read_text(encoding="utf-8").split("# ")]
    return [part for part in parts if len(part) > 100 and not part.startswith("---")]


def _rows(name: str) -> list[dict[str, object]]:
    with (DATA / "cranfield" / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _rotated(text: str, by: int) -> str:
    if not by:
        return text
    words = text.split(" ")
    by %= len(words)
    return " ".join(words[by:] + words[:by])
