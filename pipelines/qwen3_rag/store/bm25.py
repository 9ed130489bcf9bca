"""The keyword side of hybrid search: Milvus' built-in BM25 over a field that works for every script.

Why a field of our own (`bm25_text`) instead of an analyzer on `text`: Milvus Lite knows the analyzers `standard`, for
which a Chinese or Japanese sentence is one word, and `jieba`, which needs a package and breaks accented Latin words
apart. So the words are made here, runs of Chinese, Japanese, Korean and Thai script as overlapping character pairs
(the usual choice of search engines without a dictionary), and Milvus' `standard` analyzer only splits at spaces. Lite,
servers and Zilliz Cloud then all see the same words, in documents and in queries.
"""

from __future__ import annotations

import re
import unicodedata

from llama_index.vector_stores.milvus.utils import BM25BuiltInFunction

from qwen3_rag.scripts import UNSPACED

FIELD = "bm25_text"
MAX_BYTES = 65_535
"""Milvus' bound on one VARCHAR value, in bytes of UTF-8."""

_WORDS = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+")
_RUN = re.compile(rf"[{UNSPACED}]")


def search_text(text: str) -> str:
    """`text` as words separated by spaces: lower case, NFKC, unspaced scripts as character pairs.

    >>> search_text("Milvus は数据库!")
    'milvus は 数据 据库'
    """
    words: list[str] = []
    for match in _WORDS.finditer(unicodedata.normalize("NFKC", text).lower()):
        word = match[0]
        if _RUN.match(word) and len(word) > 1:
            words.extend(word[i : i + 2] for i in range(len(word) - 1))
        else:
            words.append(word)
    encoded = " ".join(words).encode()
    if len(encoded) <= MAX_BYTES:
        return encoded.decode()
    return encoded[: encoded.rfind(b" ", 0, MAX_BYTES)].decode(errors="ignore")


def bm25_function() -> BM25BuiltInFunction:
    """Milvus' BM25 over the prepared words."""
    return BM25BuiltInFunction(input_field_names=FIELD, function_name="bm25", analyzer_params={"tokenizer": "standard"})
