"""Vectors and keywords together, in scripts with and without spaces."""

from __future__ import annotations

from pathlib import Path

import pytest
from qwen3_rag.config import RagConfig
from qwen3_rag.ingestion.pipeline import ingest
from qwen3_rag.query.engine import make_retriever
from qwen3_rag.query.stages import search
from qwen3_rag.store.bm25 import MAX_BYTES, search_text
from support.hashing import HashingEmbedding

from .conftest import OpenStore, write

TEXTS = {
    "zh.md": "向量数据库把文本保存为一串数字。",
    "ja.md": "富士山の登山道は七月に開きます。",
    "ko.md": "김치는 배추와 고춧가루로 담근다.",
    "th.md": "ข้าวผัดใส่ไข่และกุ้ง",
    "de.md": "Die Straße führt über die Brücke.",
    "en.md": "Error code E4217 means that the disk is full.",
    "fr.md": "Il faut arroser les plantes le soir.",
}


class Blind(HashingEmbedding):
    """Sees no difference between texts: what is ranked first then comes from the keywords."""

    def _vector(self, text: str) -> list[float]:
        return [1.0] + [0.0] * (self.dimension - 1)


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("数据库", "zh.md"),
        ("富士山に登る", "ja.md"),
        ("배추", "ko.md"),
        ("กุ้ง", "th.md"),
        ("brücke", "de.md"),
        ("E4217", "en.md"),
        ("ARROSER", "fr.md"),
        ("Ｅ４２１７", "en.md"),
    ],
)
def test_keywords_are_found_in_every_script(config: RagConfig, store_of: OpenStore, question: str, first: str) -> None:
    write(Path("docs"), dict(TEXTS))
    config = config.model_copy(update={"mode": "hybrid", "hybrid": True, "top_k": 7})
    store = store_of(hybrid=True)
    ingest(["docs"], store=store, embed_model=Blind())
    result = search(question, make_retriever(config, store, Blind()), None)
    # The vectors tie, in some order; only the keyword hit has a place in both lists.
    assert max(result.dense, key=lambda row: row.score).source == f"docs/{first}"
    assert result.to_json()["mode"] == "hybrid"


def test_a_hybrid_collection_is_found_again_and_answers_both_modes(config: RagConfig, store_of: OpenStore) -> None:
    write(Path("docs"), dict(TEXTS))
    ingest(["docs"], store=store_of(hybrid=True), embed_model=HashingEmbedding())
    again = store_of(create=False)
    for mode in ("dense", "hybrid"):
        retriever = make_retriever(config.model_copy(update={"mode": mode}), again, HashingEmbedding())
        hits = retriever.retrieve("error code E4217")
        assert hits[0].node.metadata["source"] == "docs/en.md"
        assert "bm25_text" not in hits[0].node.metadata


def test_a_collection_made_for_hybrid_search_has_its_field(config: RagConfig, store_of: OpenStore) -> None:
    assert store_of(mode="hybrid").enable_sparse


def test_words_for_the_index() -> None:
    assert search_text("Straße 数据库, E-42 数") == "straße 数据 据库 e 42 数"
    assert search_text("") == ""
    assert len(search_text("数据" * 30_000).encode()) <= MAX_BYTES
