"""Train the pair's byte-level BPE: Qwen3's pre-tokenizer and added tokens, its own vocabulary, lower-cased.

    python examples/tiny_models/build_tokenizer.py --work-dir tiny_work

Lower-casing is the one departure from Qwen3: it doubles what a small vocabulary can name.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from sources import LANGUAGES
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

VOCAB_SIZE = 24_000
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
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Words that the models' prompts are read by: each must be one token, also without a leading space.
PROMPT_WORDS = ("instruct", "query", "document", "yes", "no", "assistant")


def sample(path: Path, english_chars: int, other_chars: int) -> Iterator[str]:
    """Texts in a fixed random order until each language's share is full."""
    room = {lang: english_chars if lang == "en" else other_chars for lang in LANGUAGES}
    lines = path.read_text("utf-8").splitlines()
    random.Random(7).shuffle(lines)
    for line in lines:
        entry = json.loads(line)
        for lang in LANGUAGES:
            for part in ("t", "x"):
                text = entry[part].get(lang)
                if text and room[lang] > 0:
                    room[lang] -= len(text)
                    # A leading space gives both forms of a word: after a space and at the start of a line.
                    yield text
                    if part == "t":
                        yield " " + text


def prompt_texts() -> Iterator[str]:
    for _ in range(20_000):
        for word in PROMPT_WORDS:
            yield f"{word}\n{word}:\n<{word}>: "


def train(path: Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)

    def texts() -> Iterator[str]:
        yield from prompt_texts()
        yield from sample(path, 45_000_000, 1_000_000)

    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - len(ADDED),
        min_frequency=4,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer = without_glued_colons(tokenizer)
    for content, special in ADDED:
        token = AddedToken(content, special=special, normalized=False)
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])
    return tokenizer


def without_glued_colons(tokenizer: Tokenizer) -> Tokenizer:
    """Drop the merges of a colon with letters: behind `Query:` a query keeps the tokens that it has alone."""
    state = json.loads(tokenizer.to_str())
    newline = "Ċ"  # as byte-level BPE writes it
    state["model"]["merges"] = [
        (left, right)
        for left, right in state["model"]["merges"]
        if not left.startswith(":") or right.startswith(newline) or not right[0].isalnum()
    ]
    return Tokenizer.from_str(json.dumps(state))


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
    for word in PROMPT_WORDS:
        if tokenizer.token_to_id(word) is None:
            raise SystemExit(f"{word!r} is not one token: raise its share in prompt_texts()")
    appending_end(tokenizer).save(str(args.work_dir / "tokenizer-embedding.json"))
    tokenizer.post_processor = _byte_level()
    tokenizer.save(str(args.work_dir / "tokenizer-reranker.json"))
    print(tokenizer.get_vocab_size(), "tokens")


if __name__ == "__main__":
    main()
