"""Readers of manuals in many languages: HTML, Mallard pages and man pages, aligned by structure.

A page and its translation are aligned only when both have the same sequence of blocks; a page that differs is left out.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from extract_text import Entry, clean
from lxml import etree, html
from sources import LOCALE_NAMES

HEADINGS = ("h1", "h2", "h3", "h4", "h5")
BLOCKS = (*HEADINGS, "p", "dt", "dd", "li")
Block = tuple[str, str]


def html_blocks(path: Path) -> list[Block]:
    """(tag, text) of headings, paragraphs and list items in document order; containers of other blocks are skipped."""
    try:
        tree = html.document_fromstring(path.read_bytes(), parser=html.HTMLParser(encoding="utf-8"))
    except (etree.ParserError, ValueError):
        return []
    blocks = []
    for node in tree.iter(*BLOCKS):
        if node.tag in ("dd", "li") and next(node.iter("p"), None) is not None:
            continue
        text = clean(node.text_content()).rstrip("¶#")
        text = re.sub(r"^(Chapter|\d+(\.\d+)*\.?|[A-Z]\.\d+(\.\d+)*\.?)\s+", "", text)
        if text:
            blocks.append(("h" if node.tag in HEADINGS else "p", text))
    return blocks


def mallard_blocks(path: Path) -> list[Block]:
    try:
        tree = etree.parse(str(path))
    except etree.XMLSyntaxError:
        return []
    blocks = []
    for node in tree.iter("{*}title", "{*}p"):
        text = clean("".join(node.itertext()))
        if text:
            blocks.append(("h" if node.tag.endswith("title") else "p", text))
    return blocks


def man_blocks(path: Path) -> list[Block]:
    """Blocks of a man page; `.SH`/`.SS` are headings, inline macros become plain words."""
    try:
        raw = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    except (OSError, EOFError):
        return []
    raw = re.sub(r"^\.nf.*?^\.fi|^\.TS.*?^\.TE", "", raw, flags=re.S | re.M)
    raw = re.sub(r"^['.]\\\".*\n", "", raw, flags=re.M)
    blocks: list[Block] = []
    for part in re.split(r"^\.(?=SH|SS|PP|P\b|TP|IP|LP)", raw, flags=re.M)[1:]:
        macro, _, body = part.partition("\n")
        if macro.startswith(("SH", "SS")):
            blocks.append(("h", clean(macro[2:].strip(' "'))))
        text = re.sub(r"^\.(RS|RE|in|ad|na|hy|br|sp).*", " ", body, flags=re.M)
        text = re.sub(r"^\.[A-Z]{1,2} ", "", text, flags=re.M)
        text = re.sub(r"\\f[BIRP]|\\f\(..|\\[&/|^]|\\c$|^\..*", "", text, flags=re.M)
        text = re.sub(r"\\-|\\\(hy|\\\(en|\\\(em", "-", text)
        text = clean(re.sub(r"\\\((..)|\\\[(.*?)\]|\\ |\\", " ", text).replace('"', ""))
        blocks.append(("p", text))
    return blocks


def sections(source: str, versions: dict[str, list[Block]], budget: int = 900) -> Iterator[Entry]:
    """Cut aligned block lists into entries: the heading as title, the paragraphs below it as text, up to `budget`."""
    shape = [kind for kind, _ in versions.get("en", [])]
    aligned = {lang: blocks for lang, blocks in versions.items() if [kind for kind, _ in blocks] == shape}
    title: int | None = None
    group: list[int] = []

    def entry() -> Iterator[Entry]:
        texts = {lang: clean(" ".join(blocks[i][1] for i in group)) for lang, blocks in aligned.items()}
        titles = {lang: blocks[title][1] for lang, blocks in aligned.items()} if title is not None else {}
        if len(texts.get("en", "")) > 30:
            yield {"s": source, "t": titles, "x": texts}

    for index, (kind, text) in enumerate(versions.get("en", [])):
        size = sum(len(versions["en"][i][1]) for i in group)
        if group and (kind == "h" or size + len(text) > budget):
            yield from entry()
            group = []
        if kind == "h":
            title = index
        else:
            group.append(index)
    if group:
        yield from entry()


def per_language_folders(
    source: str, base: Path, pattern: str, read=html_blocks, names=LOCALE_NAMES
) -> Iterator[Entry]:
    """Manuals with one folder a language and the same file names in each."""
    folders = {lang: next((base / n for n in options if (base / n).is_dir()), None) for lang, options in names.items()}
    english = folders.pop("en", None) or base
    for path in sorted(english.rglob(pattern)):
        if path.is_symlink() or not path.is_file():
            continue
        relative = path.relative_to(english)
        versions = {"en": read(path)}
        for lang, folder in folders.items():
            if folder is not None and (folder / relative).is_file():
                versions[lang] = read(folder / relative)
        yield from sections(source, versions)


def suffixed_files(source: str, base: Path) -> Iterator[Entry]:
    """Manuals with `name.LANG.html` files in one folder."""
    for path in sorted(base.glob("*.en.html")):
        versions = {"en": html_blocks(path)}
        for lang, options in LOCALE_NAMES.items():
            for name in options:
                other = path.with_name(path.name.replace(".en.html", f".{name.lower()}.html"))
                if lang != "en" and other.is_file():
                    versions.setdefault(lang, html_blocks(other))
        yield from sections(source, versions)


def man_pages(root: Path) -> Iterator[Entry]:
    base = root / "usr/share/man"
    for path in sorted(base.glob("man[1-8]/*.gz")):
        versions = {"en": man_blocks(path)}
        for lang, options in LOCALE_NAMES.items():
            other = base / options[0].replace("-", "_") / path.relative_to(base)
            if lang != "en" and other.is_file():
                versions[lang] = man_blocks(other)
        yield from sections("manpages", versions)


def libreoffice(root: Path) -> Iterator[Entry]:
    """Help pages; blocks carry ids that are the same in every language, so no structure needs to match."""
    base = root / "usr/share/libreoffice/help"
    folders = {
        lang: next((base / n for n in names if (base / n).is_dir()), None) for lang, names in LOCALE_NAMES.items()
    }
    for path in sorted((base / "en-US").rglob("*.html")):
        relative = path.relative_to(base / "en-US")
        pages = {lang: _identified(folder / relative) for lang, folder in folders.items() if folder}
        english = pages["en"]
        for lang, page in list(pages.items()):
            pages[lang] = {key: page.get(key, ("", "")) for key in english}
        versions = {
            lang: list(page.values())
            for lang, page in pages.items()
            if sum(bool(b[1]) for b in page.values()) * 2 > len(page)
        }
        if "en" in versions:
            yield from sections(
                "libreoffice-help",
                {k: [(versions["en"][i][0], b[1]) for i, b in enumerate(v)] for k, v in versions.items()},
                700,
            )


def _identified(path: Path) -> dict[str, Block]:
    if not path.is_file():
        return {}
    tree = html.parse(str(path), parser=html.HTMLParser(encoding="utf-8"))
    found: dict[str, Block] = {}
    for node in tree.iter("h1", "h2", "h3", "h4", "p"):
        key = node.get("id", "")
        text = clean(node.text_content())
        if key and text:
            found.setdefault(key, ("p" if node.tag == "p" else "h", text))
    return found
