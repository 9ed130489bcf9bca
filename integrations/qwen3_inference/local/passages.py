"""Documents whose own text stands behind something else, and a warning where that leaves it no room."""

import warnings
from collections.abc import Sequence

from qwen3_inference.texts import Passage, TextCutWarning
from qwen3_inference.tokenization import PromptTokenizer


def warn_of_lost_texts(
    documents: Sequence[str], sequences: Sequence[Sequence[int]], room: int, tokenizer: PromptTokenizer
) -> None:
    """One warning for all passages of whose own text nothing is left in the first `room` ids."""
    longer = [
        document
        for document, ids in zip(documents, sequences, strict=True)
        if len(ids) > room and isinstance(document, Passage)
    ]
    counts = [len(ids) for ids in tokenizer.encode([passage.before for passage in longer])]
    lost = [f"{passage.name}: {count}" for passage, count in zip(longer, counts, strict=True) if count >= room]
    if lost:
        names = ", ".join(lost[:10]) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
        warnings.warn(
            f"metadata leaves no room for the text of {len(lost)} of {len(documents)} documents: {room} tokens fit, "
            f"and the metadata takes as many or more ({names} tokens); exclude keys with "
            "excluded_embed_metadata_keys, shorten them or raise max_length",
            TextCutWarning,
            stacklevel=2,
        )
