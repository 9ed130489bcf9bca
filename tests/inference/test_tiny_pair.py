"""What the bundled pair promises: a better order than the first stage, and probabilities that part right from wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

ROOT = Path(__file__).parents[2]
FAQ = ROOT.parent / "shared" / "data" / "milvus-faq"
FILES = ("operational_faq.md", "performance_faq.md", "product_faq.md", "troubleshooting.md")
CANDIDATES, SHOWN = 50, 10
FILLER = "The train leaves from the second platform at noon. " * 20


@pytest.fixture(scope="module")
def rerank() -> Qwen3Rerank:
    return Qwen3Rerank("tiny")


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        pytest.param(
            "what does the parser do", "All about a parser.", "All about what one does to do it.", id="rare words"
        ),
        pytest.param(
            "how do I keep cheese in a cellar",
            "Cheese keeps best in a cool cellar.",
            "Cheese comes as soft cheese, hard cheese and blue cheese.",
            id="repeats",
        ),
        pytest.param("bread and cheese", "Bread with cheese.", "Bread bread bread bread bread.", id="one word alone"),
        pytest.param("bread and cheese", "Bread with cheese.", f"Bread with cheese. {FILLER}", id="length"),
        pytest.param(
            "how to bake bread", f"Baking bread\n{FILLER}", f"{FILLER}\n{FILLER} Baking bread", id="first line"
        ),
        pytest.param(
            "how to bake bread", f"Baking is easy. {FILLER}", f"{FILLER} Baking is easy.", id="first sentence"
        ),
        pytest.param(
            "the north wind", f"{FILLER}The north wind blew.", f"{FILLER}The wind north blew.", id="words that follow"
        ),
        pytest.param("how do I repair a car", "Mend your automobile.", "Cook your dinner.", id="other words"),
        pytest.param("Wie ist das Wetter?", "The weather is fine.", "The door is open.", id="another language"),
    ],
)
def test_what_counts(rerank: Qwen3Rerank, query: str, better: str, worse: str) -> None:
    scores = {one.text: one.score for one in rerank.rank(query, [worse, better])}
    assert scores[better] > scores[worse]


@pytest.mark.skipif(not FAQ.is_dir(), reason="needs ../shared/data/milvus-faq")
@pytest.mark.parametrize("english", [True, False])
def test_probabilities_part_right_from_wrong_on_the_faq(rerank: Qwen3Rerank, english: bool) -> None:
    passages = [part for name in FILES for part in (FAQ / name).read_text(encoding="utf-8").split("# ")]
    headings = [passage.split("\n")[0].strip() for passage in passages]
    lines = (ROOT / "examples/tiny_models/faq_questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [row for row in map(json.loads, lines) if (row["lang"] == "en") is english]
    embed = Qwen3Embedding("tiny")
    vectors = np.array(embed.get_text_embedding_batch(passages))
    right, wrong, first, again = [], [], [], []
    for row in asked:
        near = np.argsort(-(vectors @ np.array(embed.get_query_embedding(row["text"]))))[:CANDIDATES]
        ranked = rerank.rank(row["text"], [passages[place] for place in near])
        found = [headings[near[one.index]] == row["heading"] for one in ranked]
        for one, relevant in list(zip(ranked, found, strict=True))[:SHOWN]:
            (right if relevant else wrong).append(one.score)
        first.append(reciprocal([headings[place] == row["heading"] for place in near[:SHOWN]]))
        again.append(reciprocal(found[:SHOWN]))
    assert np.mean(right) - np.mean(wrong) > 0.5
    assert np.mean(again) > max(0.85, np.mean(first) + 0.025)


def reciprocal(relevant: list[bool]) -> float:
    return 1 / (1 + relevant.index(True)) if True in relevant else 0.0
