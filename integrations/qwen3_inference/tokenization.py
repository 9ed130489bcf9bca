"""Text to token ids, such that user text can never become a control token.

A tokenizer first cuts its *added tokens* (`<|im_end|>`, `<think>`, ...) out of a text and then runs byte-pair
encoding on what lies between. Prompts need that step; user text must not have it for the tokens that control a model,
or a document could close its turn or write the verdict. So user text goes through the same tokenizer with these
removed: for a text that contains none, the ids are the reference's; one that does is split into ordinary tokens. Other
words that a fine-tune added are vocabulary, in user text as well.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from qwen3_inference.errors import CheckpointError
from qwen3_inference.texts import check_text, check_unicode

END = "<|endoftext|>"
CONTROL_TOKENS = frozenset(
    [f"<|{name}|>" for name in ("endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start",
     "box_end", "quad_start", "quad_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad",
     "fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")]
    + [f"<{slash}{name}>" for name in ("tool_call", "tool_response", "think") for slash in ("", "/")]
)  # fmt: skip
"""The added tokens of the official tokenizers, also those that these do not mark as special."""


class PromptTokenizer:
    """The tokenizer of a checkpoint folder, with `encode_template` for our prompts and `encode` for user text."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(
                f"{folder} has no tokenizer.json (a fast tokenizer), which a Qwen3 checkpoint ships: it was not copied "
                "or downloaded whole; get it again"
            )
        raw = path.read_bytes()
        if raw.startswith(b"version https://git-lfs"):
            raise CheckpointError(f"{path} is a Git LFS pointer, not the file: run `git lfs pull` in its repository")
        try:
            self._template = _without_limits(Tokenizer.from_str(raw.decode()))
        except Exception as error:  # tokenizers raises nothing narrower
            raise CheckpointError(f"{path} cannot be read: {error}; take it from the model's hub repository") from error
        added = [token for _, token in sorted(self._template.get_added_tokens_decoder().items())]
        controls = [token.content for token in added if _is_control(token)]
        self._controls = controls
        # The last control token in a text, with everything before it.
        self._controlled = re.compile(f".*(?:{'|'.join(map(re.escape, controls))})", re.DOTALL) if controls else None
        kept = [token for token in added if not _is_control(token)]
        self._plain = _with_other_tokens(self._template, kept)
        # Without the tokens before them, the words that are left have moved up.
        words = [token.content for token in kept]
        moved: dict[Any, Any] = {self._plain.token_to_id(word): self._template.token_to_id(word) for word in words}
        self._moved: dict[int, int] = {new: old for new, old in moved.items() if new != old}
        self.largest_id = max(self._template.get_vocab(with_added_tokens=True).values())
        self.folder = folder

    def encode_template(self, text: str) -> list[int]:
        """Ids of a trusted text; added tokens in it are themselves."""
        return list(self._template.encode(text, add_special_tokens=False).ids)

    def encode(self, texts: Sequence[str], before: str = "") -> list[list[int]]:
        """Ids of user texts behind a trusted prompt, with nothing appended and every control token in a text split."""
        check_texts(texts)
        trusted, open_end = self._split(before)
        head = self.encode_template(trusted) if trusted else []
        found = self._plain.encode_batch_fast([open_end + text for text in texts])
        moved = self._moved
        if not moved:
            return [head + list(encoding.ids) for encoding in found]
        return [head + [moved.get(token, token) for token in encoding.ids] for encoding in found]

    def beginning(self, text: str, count: int, before: str = "") -> str:
        """What is left of a user text where it may take `count` ids with the prompt `before` it.

        For servers that take texts alone: their ids at the cut may differ from the first `count` ids of the whole.
        """
        trusted, open_end = self._split(before)
        room = count - (len(self.encode_template(trusted)) if trusted else 0)
        found = self._plain.encode(open_end + text)
        if len(found.ids) <= room:
            return text
        end = max(0, found.offsets[room - 1][1] - len(open_end)) if room > 0 else 0
        while end and len(self.encode([text[:end]], before)[0]) > count:  # a part of a word may take more ids
            end -= 1
        return text[:end]

    def control_tokens(self) -> list[str]:
        """The tokens that are split where user text has them."""
        return self._controls

    def _split(self, prompt: str) -> tuple[str, str]:
        """Up to the last control token, where a tokenizer always splits; and the rest, which may join the text."""
        match = self._controlled.match(prompt) if self._controlled else None
        end = match.end() if match else 0
        return prompt[:end], prompt[end:]

    def appended_ids(self) -> list[int]:
        """The ids the tokenizer itself appends to every text (Qwen3-Embedding: `<|endoftext|>`)."""
        return list(self._template.encode("").ids)

    def single_id(self, word: str) -> int:
        """The id of `word`, which must be one token."""
        ids = self.encode_template(word)
        if len(ids) != 1:
            raise CheckpointError(
                f"the tokenizer in {self.folder} makes {len(ids)} tokens of {word!r}; a Qwen3 reranker answers with "
                "the single tokens 'yes' and 'no'"
            )
        return ids[0]

    def token_id(self, token: str) -> int | None:
        """The id of a vocabulary entry or added token, None where there is none."""
        found = self._template.token_to_id(token)
        return None if found is None else int(found)


def appends_end(settings: Mapping[str, Any]) -> bool:
    """Whether a parsed tokenizer.json appends `<|endoftext|>` to a text, as an embedder's does."""
    found = settings.get("post_processor") or {}
    parts = found.get("processors", [found]) if isinstance(found, Mapping) else []
    single = [piece for part in parts for piece in part.get("single", [])]
    return any(piece.get("SpecialToken", {}).get("id") == END for piece in single)


def check_texts(texts: Sequence[str], name: str = "text") -> None:
    """Raise ValueError for anything but a sequence of strings of Unicode text; `name` is what one of them is called."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"{texts!r:.80} is {type(texts).__name__} where a list of strings belongs; pass [{name}]")
    for index, text in enumerate(texts):
        check_unicode(check_text(text, f"{name} {index}"), f"{name} {index}")


def _is_control(token: AddedToken) -> bool:
    return bool(token.special) or token.content in CONTROL_TOKENS


def _with_other_tokens(tokenizer: Tokenizer, added: list[AddedToken]) -> Tokenizer:
    """The same for user text: with these added tokens alone, and nothing appended. It shares the vocabulary, which
    takes most of the time that a tokenizer takes to load."""
    plain = Tokenizer(tokenizer.model)
    plain.normalizer, plain.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    plain.add_tokens(added)
    return plain


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
