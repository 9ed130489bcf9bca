"""Text to token ids, such that user text can never become a control token.

A tokenizer first cuts its *added tokens* (`<|im_end|>`, `<think>`, ...) out of a text and then runs byte-pair
encoding on what lies between. Prompts need that step; user text must not have it, or a document could close its turn
or write the verdict. So user text goes through the same tokenizer with the added tokens removed: for a text that
contains none, the ids are the reference's; one that does is split into ordinary tokens.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from qwen3_inference.errors import CheckpointError


class PromptTokenizer:
    """The tokenizer of a checkpoint folder, with `encode_template` for our prompts and `encode` for user text."""

    def __init__(self, folder: Path) -> None:
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{folder} has no tokenizer.json; a Qwen3 checkpoint ships one (a fast tokenizer)")
        text = path.read_text(encoding="utf-8")
        try:
            self._template = _without_limits(Tokenizer.from_str(text))
        except Exception as error:  # tokenizers raises nothing narrower
            raise CheckpointError(f"{path} cannot be read: {error}; take it from the model's hub repository") from error
        settings = json.loads(text)
        settings["added_tokens"] = []
        # The post-processor appends by id and knows nothing of user text; ids it appends are read from the original.
        settings["post_processor"] = None
        self._plain = _without_limits(Tokenizer.from_str(json.dumps(settings)))
        self.folder = folder

    def encode_template(self, text: str) -> list[int]:
        """Ids of a trusted text; added tokens in it are themselves."""
        return list(self._template.encode(text, add_special_tokens=False).ids)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of user texts, with nothing appended and every added token split."""
        check_texts(texts)
        try:
            return [list(encoding.ids) for encoding in self._plain.encode_batch_fast(list(texts))]
        except (UnicodeEncodeError, TypeError):
            _raise_for_surrogates(texts)
            raise

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


def check_texts(texts: Sequence[str]) -> None:
    """Raise ValueError for anything that is not a string."""
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {index} is {type(text).__name__}, not a string: {text!r:.80}")


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _raise_for_surrogates(texts: Sequence[str]) -> None:
    for index, text in enumerate(texts):
        for position, character in enumerate(text):
            if "\ud800" <= character <= "\udfff":
                raise ValueError(
                    f"text {index} has the lone surrogate {character!r} at position {position}, which is not Unicode "
                    "text; clean it, for example with text.encode('utf-8', 'replace').decode()"
                ) from None
