"""Build the pair's byte-level Unigram tokenizer: Qwen3's added tokens, its own vocabulary of lower-cased words.

    python examples/tiny_models/build_tokenizer.py --work-dir tiny_work

A small model lives by its vocabulary: what is one token has a vector of its own. So the departures from Qwen3 all
serve the vocabulary. Case and blanks are dropped, hence a word has one form wherever it stands, and a part of a word
shares its vector with the word of the same letters. Half of the tokens are frequent words. The other half are the
parts by which Unigram best explains the rest: `hyper` `sonic`, where byte-pair encoding makes `hy` `person` `ic`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import regex
from sources import LANGUAGES
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from wordfreq import get_frequency_dict

VOCAB_SIZE = 24_000
WORDS = 12_500  # tokens that are frequent words
END = "<|endoftext|>"
# The order and the `special` flags are those of the official tokenizer.json.
ADDED = (
    (END, True), ("<|im_start|>", True), ("<|im_end|>", True), ("<|object_ref_start|>", True),
    ("<|object_ref_end|>", True), ("<|box_start|>", True), ("<|box_end|>", True), ("<|quad_start|>", True),
    ("<|quad_end|>", True), ("<|vision_start|>", True), ("<|vision_end|>", True), ("<|vision_pad|>", True),
    ("<|image_pad|>", True), ("<|video_pad|>", True), ("<tool_call>", False), ("</tool_call>", False),
    ("<|fim_prefix|>", False), ("<|fim_middle|>", False), ("<|fim_suffix|>", False), ("<|fim_pad|>", False),
    ("<|repo_name|>", False), ("<|file_sep|>", False), ("<tool_response>", False), ("</tool_response>", False),
    ("<think>", False), ("</think>", False),
)  # fmt: skip
# Parts of the official prompts, each a control character, so that the models can tell query and document.
MARKERS = {"Instruct: ": "\x01", "\nQuery:": "\n\x02", "<Instruct>:": "\x03", "<Query>:": "\x04", "<Document>:": "\x05"}
DOT = "\x06"  # a full stop ends a sentence; one inside a number, a name or an abbreviation is this
SCRIPTS = (r"\p{Han}+", r"\p{Hiragana}+", r"[\p{Katakana}ー]+", r"\p{Hangul}+")
WORD = "|".join(SCRIPTS) + r"|(?:(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}])[\p{L}\p{M}])+"
words_in = regex.compile(WORD).findall
# Control characters, words of one script, single digits, newlines, marks of headings, runs of any other sign.
PATTERN = rf"[\x01-\x06]|{WORD}|\p{{N}}|\n|\#|([^\s\p{{L}}\p{{M}}\p{{N}}])\1*"
ANSWERS = ("yes", "no")  # each must be one token
SIGNS = tuple("。、「」『』・〜•°©®→‰€£§")
RUNS = ("...", "--", "---", "----", "==", "====", "__", "**", "::", "//", "~~", "||")
ENGLISH = 0.7  # share of English in the weights of words; the others have equal parts of the rest
FLAT = 0.75  # exponent of the weights by which parts are learnt: rare words have more say in them
PRICE = 8.0  # nats that a token costs: `theme` is likelier than `the` `me` only where fewer tokens are better
TEXT_CHARS = {"en": 70_000_000}
OTHER_CHARS = 10_000_000
RARE = 8  # a word that the training texts have less often shapes no token


def normalizer() -> normalizers.Normalizer:
    marks = [normalizers.Replace(text, mark) for text, mark in MARKERS.items()]
    return normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex("[\u201c\u201d\u201e\u00ab\u00bb]"), '"'),
            normalizers.Replace(Regex("[\u2018\u2019]"), "'"),
            normalizers.Replace(Regex("[\u2010-\u2015]"), "-"),
            normalizers.Replace(Regex(r"[\x01-\x06]"), ""),
            *marks,
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s*[\r\n]\s*"), "\n"),
            normalizers.Replace(Regex(r"\.(?=[\p{L}\p{N}])"), DOT),
        ]
    )


def corpus_words(path: Path) -> dict[str, Counter[str]]:
    """How often each language's texts have each word, read up to a number of characters."""
    counts = {lang: Counter() for lang in LANGUAGES}
    room = {lang: TEXT_CHARS.get(lang, OTHER_CHARS) for lang in LANGUAGES}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            for part in ("t", "x"):
                for lang, text in entry[part].items():
                    if room[lang] > 0:
                        room[lang] -= len(text)
                        counts[lang].update(words_in(text.lower()))
    return counts


def word_weights(path: Path) -> dict[str, dict[str, float]]:
    """Every word's share of its language, half from general use (wordfreq) and half from the texts."""
    weights = {}
    for lang, found in corpus_words(path).items():
        general: Counter[str] = Counter()
        for word, frequency in get_frequency_dict(lang, "best").items():
            for part in words_in(word):
                general[part] += frequency
        # Chinese and Japanese texts have no blanks, so only the word list knows their words.
        kept = {w: n for w, n in found.items() if n >= RARE} if lang not in ("zh", "ja") else dict(general)
        general = Counter({w: n for w, n in general.items() if w in kept})
        whole, total = sum(general.values()), sum(kept.values())
        weights[lang] = {w: (general[w] / whole + n / total) / 2 for w, n in kept.items()}
    return weights


def mixed(weights: dict[str, dict[str, float]], power: float = 1.0) -> Counter[str]:
    """One distribution over the words of all languages."""
    mix: Counter[str] = Counter()
    for lang, words in weights.items():
        share = ENGLISH if lang == "en" else (1 - ENGLISH) / (len(LANGUAGES) - 1)
        total = sum(weight**power for weight in words.values())
        for word, weight in words.items():
            mix[word] += share * weight**power / total
    return mix


def frequent(mix: Counter[str]) -> list[str]:
    """The words that earn a token: by frequency, where rarer ones matter more to a search."""
    gain = {word: -share * math.log(share) for word, share in mix.items()}
    return sorted(gain, key=lambda word: (-gain[word], word))[:WORDS]


def train_parts(tokenizer: Tokenizer, shares: Counter[str], size: int) -> dict[str, float]:
    """Parts of the words that have no token of their own, with their log-probabilities."""
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_piece_length=30,  # in bytes
        show_progress=False,
    )

    def words() -> Iterator[str]:
        for word, share in shares.items():
            yield from [word] * max(1, round(4e6 * share))
        for run in RUNS:
            yield from [run] * 2_000

    tokenizer.train_from_iterator(words(), trainer)
    return dict(json.loads(tokenizer.to_str())["model"]["vocab"])


def split_bytes() -> pre_tokenizers.ByteLevel:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)


def byte_level(text: str) -> str:
    """The text as the vocabulary writes it."""
    written: str = split_bytes().pre_tokenize_str(text)[0][0]
    return written


def train(path: Path) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[^\S\n]+"), behavior="removed"),
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            split_bytes(),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    weights = word_weights(path)
    mix, rest = mixed(weights), mixed(weights, FLAT)
    words = [*ANSWERS, *(word for word in frequent(mix) if word not in ANSWERS)]
    for word in words:
        del rest[word]
    size, left = VOCAB_SIZE - len(ADDED), math.log(1 - sum(mix[word] for word in words))
    vocab = {byte_level(sign): math.log(1e-5) for sign in SIGNS}
    vocab |= {byte_level(word): math.log(mix[word]) for word in words}
    # Single bytes spell everything; then the likeliest parts that are not words already.
    # More of them are learnt than there is room for, since many parts are words too.
    parts = train_parts(tokenizer, rest, size - WORDS // 2)
    for part in sorted(parts, key=lambda part: (len(part) > 1, -parts[part], part)):
        score = parts[part] + left
        if part in vocab:
            vocab[part] = float(np.logaddexp(vocab[part], score))
        elif len(vocab) < size:
            vocab[part] = score
    state = json.loads(tokenizer.to_str())
    priced = [(token, score - PRICE) for token, score in vocab.items()]
    state["model"]["vocab"] = sorted(priced, key=lambda item: len(item[0]) > 1)  # bytes first
    tokenizer = Tokenizer.from_str(json.dumps(state))
    for content, special in ADDED:
        token = AddedToken(content, special=special, normalized=False)
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])
    return tokenizer


def appending_end(tokenizer: Tokenizer) -> Tokenizer:
    """The embedder's copy: every text ends with `<|endoftext|>`, after truncation too."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    end = copy.token_to_id(END)
    template = processors.TemplateProcessing(single=f"$A {END}", pair=f"$A $B {END}", special_tokens=[(END, end)])
    copy.post_processor = processors.Sequence([_byte_level(), template])
    return copy


def _byte_level() -> processors.ByteLevel:
    return processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("tiny_work"))
    args = parser.parse_args()
    tokenizer = train(args.work_dir / "entries.jsonl")
    for text in ANSWERS:
        if len(tokenizer.encode(text).ids) != 1:
            raise SystemExit(f"{text!r} is not one token: see `train`")
    appending_end(tokenizer).save(str(args.work_dir / "tokenizer-embedding.json"))
    tokenizer.post_processor = _byte_level()
    tokenizer.save(str(args.work_dir / "tokenizer-reranker.json"))
    print(tokenizer.get_vocab_size(), "tokens")


if __name__ == "__main__":
    main()
