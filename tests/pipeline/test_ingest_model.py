"""Any sequence of edits, moves, ingests, prunes and kills, over two roots, against a model of what must be there.

A failure prints its steps, and a `reproduce_failure` line that replays it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from llama_index.core import Document
from qwen3_rag.config import RagConfig
from qwen3_rag.ingestion.pipeline import ingest, ingest_documents
from qwen3_rag.store.connect import release_lite
from qwen3_rag.store.opening import open_store
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import examples

from .test_crash import Faults, Killed, injected

ROOTS = st.sampled_from(["alpha", "beta"])
NAMES = st.sampled_from(["a.md", "b.md", "deep/c.md", "deep/d.txt"])
TEXTS = st.lists(st.sampled_from(["one", "two", "three", "four", "five"]), min_size=1, max_size=4)


class Ingests(RuleBasedStateMachine):
    """`files` is what lies on the disk, `expected` what the collection must hold: passages' texts by source."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.uri = str(self.folder / "kb.db")
        self.store = open_store(RagConfig(uri=self.uri, embed_model="tiny"), IDENTITY, create=True)
        self.places = {"alpha": self.folder / "here" / "alpha", "beta": self.folder / "here" / "beta"}
        for place in self.places.values():
            place.mkdir(parents=True)
        self.files: dict[str, dict[str, list[str]]] = {"alpha": {}, "beta": {}}
        self.expected: dict[str, list[str]] = {}
        self.homes: dict[str, str] = {}
        self.moves = 0
        self.moved: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            release_lite(self.uri)
            shutil.rmtree(self.folder)

    @rule(root=ROOTS, name=NAMES, texts=TEXTS)
    def write(self, root: str, name: str, texts: list[str]) -> None:
        path = self.places[root] / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"# {text}\n\n{text} of {name}\n\n" for text in texts))
        self.files[root][name] = texts

    @rule(root=ROOTS, name=NAMES)
    def remove(self, root: str, name: str) -> None:
        (self.places[root] / name).unlink(missing_ok=True)
        self.files[root].pop(name, None)

    @rule(root=ROOTS)
    def move(self, root: str) -> None:
        """The folder goes elsewhere; the next ingest says by its name that it is the same."""
        self.moves += 1
        target = self.folder / f"moved{self.moves}" / root
        target.parent.mkdir()
        self.places[root].rename(target)
        self.places[root] = target
        self.moved.add(root)

    @rule(root=ROOTS, prune=st.booleans())
    def take_in(self, root: str, prune: bool) -> None:
        self._ingest(root, prune)
        self._expect(root, prune)

    @rule(root=ROOTS, write=st.integers(0, 12), after=st.booleans(), name=NAMES, texts=st.none() | TEXTS)
    def take_in_killed(self, root: str, write: int, after: bool, name: str, texts: list[str] | None) -> None:
        """Killed at one of its writes; a file changes or goes; then run again to its end."""
        try:
            with injected(Faults(write, after)):
                self._ingest(root, prune=True)
        except Killed:
            self.remove(root, name)
            if texts:
                self.write(root, name, texts)
            self._ingest(root, prune=True)
        self._expect(root, prune=True)

    @rule(number=st.integers(0, 2), text=st.sampled_from(["x", "y", ""]))
    def put_document(self, number: int, text: str) -> None:
        """A library document; one without text is no passage."""
        source = f"ticket-{number}"
        ingest_documents([Document(text=text, id_=source)], store=self.store, embed_model=HashingEmbedding())
        self.expected.pop(source, None)
        if text:
            self.expected[source] = [text]

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def holds_what_it_must(self) -> None:
        fields = ["doc_id", "position", "text", "root"]
        rows = self.store.client.query(
            "docs", filter="", output_fields=fields, limit=16_384, consistency_level="Strong"
        )
        found: dict[str, list[Any]] = {}
        for row in sorted(rows, key=lambda row: row["position"]):
            found.setdefault(row["doc_id"], []).append(row["text"])
            assert row["position"] == len(found[row["doc_id"]]) - 1
            assert row.get("root") == self.homes.get(row["doc_id"])
        assert found == self.expected
        assert dict(self.store.count_sources()) == {source: len(texts) for source, texts in self.expected.items()}

    def _ingest(self, root: str, prune: bool) -> None:
        name = root if root in self.moved else None
        place = self.places[root]
        ingest([place], store=self.store, embed_model=HashingEmbedding(), prune=prune, name=name, batch_size=2)
        self.moved.discard(root)

    def _expect(self, root: str, prune: bool) -> None:
        if prune:
            gone = [source for source in self.expected if source.startswith(f"{root}/")]
            for source in gone:
                del self.expected[source]
        for name, texts in self.files[root].items():
            if name.endswith(".md"):
                passages = [f"# {text}\n\n{text} of {name}" for text in texts]
            else:
                passages = ["".join(f"# {text}\n\n{text} of {name}\n\n" for text in texts)]
            self.expected[f"{root}/{name}"] = passages
            self.homes[f"{root}/{name}"] = str(self.places[root])


Ingests.TestCase.settings = settings(
    max_examples=examples(25),
    stateful_step_count=15,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestIngests = Ingests.TestCase
