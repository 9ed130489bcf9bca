"""What `context.py` measures on: trees of documentation with questions, the Milvus FAQ, folders in BEIR's layout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qwen3_rag import PassageParser
from qwen3_rag.documents.formats import FORMATS
from qwen3_rag.documents.walk import find_files
from qwen3_rag.headings import under_headings

FAQ_QUESTIONS = Path(__file__).parents[1] / "tiny_models" / "faq_questions.jsonl"


@dataclass(frozen=True)
class Passage:
    """`above`: the title where it is no heading, then the headings over it; `own`: its heading, "" without one;
    `in_line`: as the pipeline's second stage reads it."""

    text: str
    in_line: str
    title: str = ""
    above: tuple[str, ...] = ()
    own: str = ""
    source: str = ""


@dataclass
class Corpus:
    name: str
    passages: list[Passage]
    questions: list[str] = field(default_factory=list)
    right: list[dict[int, int]] = field(default_factory=list)
    """For each question, grades of passages by their index."""
    measure: str = "right"


def read_folder(folder: Path) -> list[Passage]:
    found = []
    for file in find_files([folder], lambda source, reason: print(f"skipped {source}: {reason}")):
        documents = list(FORMATS[file.kind].reader.lazy_load_data(file.path, source=file.source))
        for node in PassageParser().get_nodes_from_documents(documents):
            path = tuple(filter(None, str(node.metadata.get("header_path") or "").split(" > ")))
            name = str(node.metadata.get("title") or "")
            above = path[:-1] if name in path or not name else (name, *path[:-1])
            found.append(
                Passage(node.get_content(), under_headings(node), name, above, path[-1] if path else "", file.source)
            )
    return found


def read_tree(name: str, folder: Path, questions: Iterable[tuple[str, str, str]]) -> Corpus:
    corpus = Corpus(name, read_folder(folder))
    for question, source, words in questions:
        is_source, has_words = (re.compile(one, re.IGNORECASE).search for one in (source, words))
        corpus.questions.append(question)
        corpus.right.append(
            {i: 1 for i, one in enumerate(corpus.passages) if is_source(one.source) and has_words(one.text)}
        )
    return corpus


def read_questions(file: Path) -> dict[str, list[tuple[str, str, str]]]:
    """The tables of a file by the name that their heading begins with."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    name = ""
    for row in file.read_text("utf-8").splitlines():
        if row.startswith("## "):
            name = row[3:].split(":")[0]
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        if len(cells) == 3 and cells[0] != "question" and set(cells[0]) != {"-"}:
            expressions = (re.sub(r"\\\||&#124;", "|", cell.strip("`")) for cell in cells[1:])
            found.setdefault(name, []).append((cells[0], *expressions))  # type: ignore[arg-type]
    return found


def read_faq(folder: Path) -> list[Corpus]:
    passages = read_folder(folder)
    questions = [json.loads(row) for row in FAQ_QUESTIONS.open(encoding="utf-8")]
    made = []
    for name, wanted in (("faq, English", True), ("faq, other languages", False)):
        asked = [one for one in questions if (one["lang"] == "en") == wanted]
        right = [{i: 1 for i, one in enumerate(passages) if one.own == asked_for["heading"]} for asked_for in asked]
        made.append(Corpus(name, passages, [one["text"] for one in asked], right, "RR@10"))
    return made


def read_beir(folder: Path) -> Corpus:
    def rows(name: str) -> Iterator[dict[str, str]]:
        return map(json.loads, (folder / name).open(encoding="utf-8"))

    found = list(rows("corpus.jsonl"))
    place = {row["_id"]: index for index, row in enumerate(found)}
    passages = [
        Passage(row["text"], f"{title}\n{row['text']}".strip(), title, tuple(filter(None, [title])))
        for row in found
        for title in [row.get("title", "")]
    ]
    judged: dict[str, dict[int, int]] = {}
    for row in (folder / "qrels/test.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = row.split("\t")
        judged.setdefault(query, {})[place[document]] = int(grade)
    asked = [row for row in rows("queries.jsonl") if row["_id"] in judged]
    right = [judged[row["_id"]] for row in asked]
    return Corpus(folder.name, passages, [row["text"] for row in asked], right, "nDCG@10")
