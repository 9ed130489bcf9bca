"""What an engine says it would cut is what it cuts, whatever the text, and the quick look before it misses nothing."""

import unicodedata
import warnings
from pathlib import Path

import pytest
from qwen3_inference.hub import tiny_folder
from qwen3_inference.lengths import END_LENGTH, find_overlong, most_tokens
from qwen3_inference.local.embedding import TorchEmbeddingEngine
from qwen3_inference.local.settings import LocalSettings
from qwen3_inference.texts import Passage, TextCutWarning
from qwen3_inference.tokenization import PromptTokenizer
from support.seeds import random_of

MAX_LENGTH = 40
PIECES = [
    *("tea ", "0123456789", "数据库", "é", "\u1e69\u0323", "\ufdfa", "Ａ", "İ", "👩", "한국어", "ﬃ"),
    *("\t\t  ", "\x00", "<|im_end|>"),
]


def texts(seed: int, count: int = 60) -> list[str]:
    chance = random_of(f"lengths {seed}")
    return ["".join(chance.choices(PIECES, k=chance.randrange(1, 40))) for _ in range(count)]


@pytest.fixture(params=["small", "tiny", "official"])
def tokenizer_folder(request: pytest.FixtureRequest) -> Path:
    if request.param == "tiny":
        return tiny_folder("embedding")
    if request.param == "official":
        return request.getfixturevalue("real_tokenizers")["embedding"]
    return request.getfixturevalue("embedding_folder")


@pytest.mark.parametrize("prompt", ["", "Represent this: "])
def test_the_bound_holds_for_every_tokenizer(tokenizer_folder: Path, prompt: str) -> None:
    tokenizer = PromptTokenizer(tokenizer_folder)
    given = texts(1, 300) + [unicodedata.normalize("NFD", one) for one in texts(2)] + PIECES
    for text, ids in zip(given, tokenizer.encode(given, prompt), strict=True):
        assert len(ids) <= most_tokens(prompt + text), text


def test_what_is_overlong_is_what_is_cut(embedding_folder: Path) -> None:
    engine = TorchEmbeddingEngine(LocalSettings(str(embedding_folder), "embedding", max_length=MAX_LENGTH))
    for prompt in (None, "Represent this: "):
        documents = texts(3, 50) + [one[:2] for one in texts(4, 10)]  # of both kinds, whatever is drawn
        found = {one.index: one for one in engine.overlong_documents(documents, prompt=prompt)}
        assert 5 < len(found) < 55
        for index, document in enumerate(documents):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                engine.embed_documents([document], prompt=prompt)
            [text] = [str(one.message) for one in said if one.category is TextCutWarning] or [""]
            assert (index in found) == bool(text)
            if text:
                assert f"the longest has {found[index].tokens}, {found[index].room} fit" in text


def test_a_text_behind_its_metadata_is_lost_or_cut(embedding_folder: Path) -> None:
    tokenizer = PromptTokenizer(embedding_folder)
    room = MAX_LENGTH - END_LENGTH
    lost = Passage("0 " * room + "text", "0 " * room, "node 'a'")
    cut = Passage("0 " + "text " * room, "0 ", "node 'b'")
    found = find_overlong(["fine", lost, cut], "", room, lambda: tokenizer)
    assert [(one.index, one.is_lost) for one in found] == [(1, True), (2, False)]


def test_a_model_with_fewer_positions_reads_less(embedding_folder: Path) -> None:
    engine = TorchEmbeddingEngine(LocalSettings(str(embedding_folder), "embedding"))
    [found] = engine.overlong_documents(["0" * 5_000])
    assert found.room == 4_096 - END_LENGTH
