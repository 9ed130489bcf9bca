"""Textbooks with their exercises as collections to measure on: passages, questions, and what answers them.

    git clone --depth 1 https://github.com/openstax/osbooks-psychology
    python examples/tiny_models/textbooks.py osbooks-psychology --out tiny_work/books
    python examples/tiny_models/evaluate.py --embedder ... --reranker ... --data tiny_work/books/*

OpenStax textbooks (CC BY 4.0) say in their source which module an exercise belongs to, so its question is judged to
be answered by the passages of that module, which keep the heading of their section; the exercises themselves are taken
out.
Writes two folders in the layout of BEIR for each book: with headings as titles, and `-bare` without.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from pathlib import Path

from lists import Page, packed
from lxml import etree

CNXML = "{http://cnx.rice.edu/cnxml}"
QUESTION = (30, 300)  # characters
QUESTIONS = 150  # of each book
NOT_TEXT = re.compile("review|question|exercise|key|further|refer|summary|critical|glossary")


def plain(node: etree._Element | None) -> str:
    return re.sub(r"\s+", " ", "".join(node.itertext())).strip() if node is not None else ""


def passages(node: etree._Element, heading: str) -> Page:
    """The packed paragraphs of a section, and those of its sections and notes under their headings."""
    found: Page = []
    texts: list[str] = []

    def close() -> None:
        found.extend((heading, text) for text in packed(texts))
        texts.clear()

    for child in node:
        if child.tag == CNXML + "section":
            close()
            if not NOT_TEXT.search(child.get("class", "")):
                found += passages(child, plain(child.find(CNXML + "title")) or heading)
        elif child.tag == CNXML + "note":
            found += passages(child, heading)
        elif child.tag == CNXML + "para":
            texts.append(plain(child))
    close()
    return found


def exercises(content: etree._Element) -> list[str]:
    """Take the exercises out and return the first paragraph of each problem."""
    asked = []
    for exercise in list(content.iter(CNXML + "exercise")):
        problem = exercise.find(CNXML + "problem")
        text = re.sub("_{2,}", "", plain(problem.find(CNXML + "para"))) if problem is not None else ""
        if QUESTION[0] < len(text) < QUESTION[1]:
            asked.append(text)
        exercise.getparent().remove(exercise)
    return asked


def read(folder: Path) -> tuple[Page, list[tuple[str, range]]]:
    texts: Page = []
    asked: list[tuple[str, range]] = []
    for path in sorted(folder.glob("modules/*/index.cnxml")):
        module = etree.parse(str(path)).getroot()
        content = module.find(CNXML + "content")
        questions = exercises(content) if content is not None else []
        own = passages(content, plain(module.find(CNXML + "title"))) if content is not None else []
        if len(own) > 1:
            asked += [(question, range(len(texts), len(texts) + len(own))) for question in questions]
            texts += own
    return texts, asked


def write(folder: Path, texts: Page, asked: list[tuple[str, range]], bare: bool) -> None:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    corpus = [{"_id": str(i), "title": "" if bare else title, "text": text} for i, (title, text) in enumerate(texts)]
    queries = [{"_id": f"q{i}", "text": text} for i, (text, _) in enumerate(asked)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judged = [f"q{i}\t{passage}\t1\n" for i, (_, right) in enumerate(asked) for passage in right]
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", type=Path, nargs="+", help="checkouts of github.com/openstax/osbooks-...")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for book in args.books:
        texts, asked = read(book)
        random.Random(5).shuffle(asked)
        asked = asked[:QUESTIONS]
        print(f"{book.name:44}{len(texts):6} passages{len(asked):5} questions")
        if asked:
            write(args.out / book.name, texts, asked, bare=False)
            write(args.out / f"{book.name}-bare", texts, asked, bare=True)


if __name__ == "__main__":
    main()
