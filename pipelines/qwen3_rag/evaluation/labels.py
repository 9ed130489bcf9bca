"""Which passages answer which questions: a BEIR folder, or a file of one's own on the collection as it is."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from llama_index.core.schema import NodeWithScore

from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.jsonl import text_lines

Qrels = dict[str, dict[str, int]]
"""Question id to document id to grade."""
_SEPARATOR = " > "


@dataclass(frozen=True)
class Labels:
    """Judged questions. What the labels call a document is a source or `source#heading`.

    `unusable` names what was left out, each with its place and its reason; `complete`: no judgement was among it.
    """

    queries: dict[str, str]
    qrels: Qrels
    unusable: list[str] = field(default_factory=list)
    complete: bool = True

    def document(self, question: str, hit: NodeWithScore) -> str:
        """What the labels of a question call a passage.

        Where they name sections, its section: the one that a label names, else its own; else its source.
        """
        metadata = hit.node.metadata
        source, path = str(metadata.get("source") or hit.node.ref_doc_id), str(metadata.get("header_path") or "")
        labels = self.qrels[question]
        if source in labels or not any(names_section(label, source, None) for label in labels):
            return source
        return next((one for one in labels if names_section(one, source, path)), f"{source}#{path}")

    def fingerprint(self, question: str) -> str:
        """Changes with the question's text and with what its labels call the documents."""
        asked = json.dumps([self.queries[question], sorted(self.qrels[question])])
        return hashlib.sha256(asked.encode()).hexdigest()[:12]

    def only(self, questions: Iterable[str]) -> Self:
        """The labels of some questions."""
        kept = list(questions)
        return replace(
            self, queries={one: self.queries[one] for one in kept}, qrels={one: self.qrels[one] for one in kept}
        )


def names_section(label: str, source: str, path: str | None) -> bool:
    """Whether `label` is `source#heading` of a section on the header path `path` (None: of any).

    A heading stands for its section with everything below it. Letters' case and spaces do not count.

    >>> names_section("faq.md#Flush", "faq.md", "FAQ > Flush > When?"), names_section("faq.md#When", "faq.md", "FAQ")
    (True, False)
    """
    if not label.startswith(f"{source}#"):
        return False
    wanted = _headings(label[len(source) + 1 :])
    if path is None:
        return True
    there = _headings(path)
    return any(there[start : start + len(wanted)] == wanted for start in range(len(there)))


def read_labels(path: Path, passages: Mapping[str, set[str]]) -> Labels:
    """A file of one `question<TAB>source[#heading]` a line; a question may have several lines. `#` starts a comment.

    Args:
        passages: the collection's sources, each with the header paths of its passages.

    Raises:
        ConfigError: no such file, or none of its lines can be used.
    """
    labels, unusable = Labels({}, {}), list[str]()
    for number, line in enumerate(text_lines(path, "--labels"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        question, tab, label = (part.strip() for part in line.partition("\t"))
        reason = _unusable(question, tab or "\t" in line, label, passages)
        if reason:
            unusable.append(f"{path}:{number}: {reason}")
            continue
        name = question_id(question)
        labels.queries[name] = question
        labels.qrels.setdefault(name, {})[label] = 1
    if not labels.queries:
        first = f"; {unusable[0]}" if unusable else ""
        raise ConfigError(f"no line of {str(path)!r} is `question<TAB>source[#heading]` of this collection{first}")
    return Labels(labels.queries, labels.qrels, unusable, complete=not unusable)


def question_id(question: str) -> str:
    """A name for a question that stays when lines are put before it, without spaces, for run files."""
    return hashlib.sha256(question.encode()).hexdigest()[:12]


def _unusable(question: str, tab: object, label: str, passages: Mapping[str, set[str]]) -> str | None:
    if not tab:
        return "no tab between question and source"
    if not question or not label:
        return f"no {'source' if question else 'question'}"
    if label in passages:
        return None
    owners = [source for source in passages if names_section(label, source, None)]
    if any(names_section(label, source, path) for source in owners for path in passages[source]):
        return None
    if owners:
        source = max(owners, key=len)
        return f"{source} has no heading {label[len(source) + 1 :]!r}"
    close = difflib.get_close_matches(label.partition("#")[0], passages, 1)
    return f"no passage of {label!r} in the collection{f'; there is {close[0]!r}' if close else ''}"


def _headings(path: str) -> list[str]:
    return [re.sub(r"\s+", " ", part.strip().lstrip("#").strip()).casefold() for part in path.split(_SEPARATOR)]
