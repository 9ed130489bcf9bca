"""Small collections with questions and judgements, made from documentation, for fitting the reranker.

    python examples/tiny_models/lists.py --work-dir tiny_work

English manuals that the embedder was not trained on, cut into passages, once bare and once each under its heading.
Three kinds of questions: a heading, often asked as a question, for its bare text; a sentence for the passage that it
was taken out of; one to three sentences of a passage for the other passages of the same page. Where only some passages
had headings, having none would tell the right one. Entries with translations give questions in ten languages for
English passages.
Writes `lists.jsonl`: `{"name", "passages": [...], "queries": [{"text", "right": [...], "own": int or null}]}`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from extract_docs import Block, html_blocks
from sources import MANUALS, QUESTION_FORMS

Passage = tuple[str, str]  # heading and text
Page = list[Passage]
SKIP = re.compile(r"genindex|search|_modules|_sources|changelog|toc|index\.html$|whatsnew|release")
NO_TEXT = re.compile(r"Table of Contents|Copyright|This Page|Navigation")
TRANSLATED = ("debian-descriptions", "libreoffice-help", "gnome-help", "debian-handbook", "installation-guide",
              "debian-reference")  # fmt: skip
PAGES, PASSAGES, QUERIES = 600, 1200, 120
SHORTEST, LONGEST = 120, 1600  # characters of a passage


def packed(paragraphs: list[str], budget: int = 900) -> list[str]:
    """Paragraphs that follow each other, as many together as the budget of characters holds; scraps are left out."""
    parts: list[list[str]] = []
    for text in paragraphs:
        if not parts or sum(map(len, parts[-1])) + len(text) > budget:
            parts.append([])
        parts[-1].append(text)
    return [text[:LONGEST] for text in map(" ".join, parts) if len(text) > SHORTEST]


def passages(blocks: list[Block]) -> Page:
    """The packed paragraphs under each heading."""
    found: Page = []
    title, texts = "", list[str]()

    def close() -> None:
        if not NO_TEXT.search(title):
            found.extend((title, text) for text in packed(texts))
        texts.clear()

    for kind, text in blocks:
        if kind == "h":
            close()
            title = text
        else:
            texts.append(text)
    close()
    return found


def manual(folder: Path, rng: random.Random) -> list[Page]:
    files = sorted(p for p in folder.rglob("*.html") if p.is_file() and not p.is_symlink() and not SKIP.search(str(p)))
    rng.shuffle(files)
    return [page for path in files[:PAGES] if (page := passages(html_blocks(path)))]


def perl_faq(folder: Path) -> list[Page]:
    pages = []
    for path in sorted(folder.glob("perlfaq[1-9].pod")):
        page: Page = []
        for part in re.split(r"^=head2 ", path.read_text("utf-8", "replace"), flags=re.M)[1:]:
            title, _, body = re.split(r"^=head1", part, flags=re.M)[0].partition("\n")
            plain = [re.sub(r"[A-Z]<+ ?(.*?) ?>+", r"\1", text) for text in (title, re.sub(r"(?m)^=\w+.*", "", body))]
            title, body = (re.sub(r"\s+", " ", text).strip() for text in plain)
            if len(body) > 60:
                page.append((title, body[:LONGEST]))
        pages.append(page)
    return pages


def asked(title: str, rng: random.Random, lang: str = "en") -> str:
    """The title as it stands or in one of the forms of a question."""
    return title if rng.random() < 0.4 else rng.choice(QUESTION_FORMS[lang]).format(title.rstrip(".?!: "))


def from_pages(name: str, pages: list[Page], rng: random.Random, headed: bool) -> dict:
    rng.shuffle(pages)
    texts = [(number, *passage) for number, page in enumerate(pages) for passage in page[:12]][:PASSAGES]
    bodies = [text for _, _, text in texts]
    mates = defaultdict(list)
    for index, (page, _, _) in enumerate(texts):
        mates[page].append(index)
    queries: list[dict] = []
    left = {"page": QUERIES // 3, "sentence": QUERIES // 3} | ({} if headed else {"title": QUERIES // 3})
    for index in rng.sample(range(len(texts)), len(texts)):
        page, title, _ = texts[index]
        sentences = re.split(r"(?<=[.?!]) ", bodies[index])
        others = [other for other in mates[page] if other != index]
        open_kinds = [kind for kind, count in left.items() if count]
        if not open_kinds:
            break
        kind = rng.choice(open_kinds)
        text, right, own = "", [index], None
        if kind == "title" and len(title.split()) >= 2:
            text = asked(title, rng)
        elif kind == "page" and 3 <= len(others) <= 40:
            start = rng.randrange(len(sentences))
            text = " ".join(sentences[start : start + rng.choice([1, 2, 3])])[:500]
            right, own = others, index
        elif kind == "sentence" and len(sentences) >= 3:
            at = rng.randrange(len(sentences))
            if 30 < len(sentences[at]) < 300:
                text = sentences.pop(at)
                bodies[index] = " ".join(sentences)
        if len(text) > (0 if kind == "title" else 30):
            left[kind] -= 1
            queries.append({"text": text, "right": right, "own": own})
    shown = [
        f"{title}\n{body}" if title and headed else body for (_, title, _), body in zip(texts, bodies, strict=True)
    ]
    return {"name": f"{name}, {'headed' if headed else 'bare'}", "passages": shown, "queries": queries}


def translated(entries: Path, rng: random.Random) -> Iterator[dict]:
    found = defaultdict(list)
    for line in entries.open(encoding="utf-8"):
        entry = json.loads(line)
        full = len(entry["t"]) > 2 and len(entry["x"].get("en", "")) > 100 and "en" in entry["t"]
        if entry["s"] in TRANSLATED and full:
            found[entry["s"]].append(entry)
    for name, listed in found.items():
        chosen = rng.sample(listed, min(800, len(listed)))
        queries = []
        for index, entry in enumerate(chosen[:100]):
            lang = rng.choice([lang for lang in entry["t"] if lang != "en"])
            queries.append({"text": asked(entry["t"][lang], rng, lang), "right": [index], "own": None})
        yield {
            "name": f"{name}, translated",
            "passages": [f"{entry['t']['en']}\n{entry['x']['en']}" for entry in chosen],
            "queries": queries,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    args = parser.parse_args()
    rng, share = random.Random(5), args.work_dir / "root/usr/share"
    with (args.work_dir / "lists.jsonl").open("w", encoding="utf-8") as out:
        manuals = {name: manual(share / folder, rng) for name, folder in MANUALS.items()}
        manuals["perlfaq"] = perl_faq(next(share.glob("perl/5.*/pod")))
        collections = [
            from_pages(name, pages, rng, headed) for name, pages in manuals.items() for headed in (False, True)
        ]
        for collection in [*collections, *translated(args.work_dir / "entries.jsonl", rng)]:
            out.write(json.dumps(collection, ensure_ascii=False) + "\n")
            print(f"{collection['name']:36}{len(collection['passages']):6}{len(collection['queries']):5}")


if __name__ == "__main__":
    main()
