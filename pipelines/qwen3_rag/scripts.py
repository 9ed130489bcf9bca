"""Scripts that are written without spaces: what counts words, for passages or for keywords, counts their letters."""

from __future__ import annotations

import re

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Character ranges for a regular expression: Thai, Lao, Myanmar, Khmer, kana, Chinese characters, and Hangul, which has
spaces, but whose words carry endings."""
_LETTER = re.compile(f"[{UNSPACED}]")


def is_unspaced(letter: str) -> bool:
    return _LETTER.match(letter) is not None
