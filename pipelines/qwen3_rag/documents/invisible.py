"""Letters that nobody sees, taken out of documents before they are embedded and before they are shown.

Unicode tags, variation selectors and zero-width letters carry text past every reader but a language model; directional
controls show text in another order than it is read in; control characters write over what a terminal shows. All of
them go, except where a script or an emoji is spelled with them:

- the joiners U+200C and U+200D in Arabic, Syriac, Indic and other scripts that are spelled with them, and U+200D
  between emoji; the zero-width space between letters of scripts without spaces; Mongolian vowel separators and Hangul
  fillers within their scripts; the grapheme joiner between marks;
- one variation selector behind a symbol, a digit or an ideograph, which are the letters that have variants;
- the tags of the three flags that are spelled with tags.

Soft hyphens go everywhere: no script is spelled with them, they say only where a line may break, and they split words
for tokenizers. So do LRM, RLM and ALM: they move punctuation on a screen and are part of no word. Tabs, line ends and
other white space stay. A text that holds none of all this comes back as it is, so its passages keep their ids.
"""

from __future__ import annotations

import re
import unicodedata

_FLAGS = ("gbeng", "gbsct", "gbwls")
_TAGGED = "|".join(chr(0x1F3F4) + "".join(chr(0xE0000 + ord(one)) for one in name) + chr(0xE007F) for name in _FLAGS)
_HIDDEN = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are no white space
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_LETTER = re.compile(f"(?P<flag>{_TAGGED})|[{_HIDDEN}]")

_JOINED = re.compile(
    # Arabic to Arabic Extended-A; Indic; Tibetan and Myanmar; Khmer and Mongolian; Tai and insular scripts; Vedic
    # marks; Phags-pa; Devanagari and Myanmar extended; Meetei; Arabic forms; Brahmi and its descendants; Adlam.
    "[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1a00-\u1aaf\u1b00-\u1bff\u1cd0-\u1cff\ua840-\ua87f"
    "\ua8e0-\ua8ff\ua9e0-\uaaff\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefe\U00010a00-\U00010fff\U00011000-\U00011fff"
    "\U0001e900-\U0001e95f]"
)
_UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaaff]")
_MONGOLIAN = re.compile("[\u1820-\u18aa]")
_JAMO = re.compile("[\u1100-\u115e\u1161-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HAS_VARIANTS = frozenset({"Lo", "Nd", "Pd", "Po", "So", "Sm"})


def visible(text: str) -> str:
    """The text without its hidden letters; the same object where it has none.

    >>> visible("pay\\u200b ten\\u202e dollars\\U000e0041\\U000e0042")
    'pay ten dollars'
    """
    if _LETTER.search(text) is None:
        return text
    kept: list[str] = []
    end = 0
    last = ""  # the last letter that is kept
    for found in _LETTER.finditer(text):
        if found.start() > end:
            kept.append(text[end : found.start()])
            last = text[found.start() - 1]
        end = found.end()
        if found["flag"] or _is_spelling(found[0], last, text[end : end + 1]):
            kept.append(found[0])
            last = found[0][-1]
    kept.append(text[end:])
    return "".join(kept)


def _is_spelling(letter: str, before: str, after: str) -> bool:
    """Whether a hidden letter is part of how something is written, by its neighbours."""
    kind, next_kind = (unicodedata.category(one or " ") for one in (before, after))
    match letter:
        case "\u200c":
            return _JOINED.match(before) is not None
        case "\u200d":
            return _JOINED.match(before) is not None or (_is_emoji(before) and _is_emoji(after))
        case "\u200b":
            return _UNSPACED.match(before) is not None and _UNSPACED.match(after) is not None
        case "\u180b" | "\u180c" | "\u180d" | "\u180e" | "\u180f":
            return _MONGOLIAN.match(before) is not None
        case "\u034f":
            return kind == next_kind == "Mn"
        case "\u115f" | "\u1160":
            return _JAMO.match(before) is not None or _JAMO.match(after) is not None
    if "\ufe00" <= letter <= "\ufe0f":
        return kind in _HAS_VARIANTS
    return "\U000e0100" <= letter <= "\U000e01ef" and _IDEOGRAPH.match(before) is not None


def _is_emoji(letter: str) -> bool:
    """Emoji, and what stands between one and a joiner: a skin tone, the selector that colours a sign."""
    is_tone = "\U0001f3fb" <= letter <= "\U0001f3ff"
    return letter != "" and (is_tone or letter == "\ufe0f" or unicodedata.category(letter) == "So")
