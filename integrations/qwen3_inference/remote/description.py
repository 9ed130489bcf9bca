"""What the client knows of a served model from its small files: tokenizer, prompts, sizes."""

import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qwen3_inference.errors import CheckpointError, HubUnavailableError
from qwen3_inference.hub import TINY, find_description
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH
from qwen3_inference.local.modules import EMBEDDING, read_json, read_modules
from qwen3_inference.local.template import template_instruction
from qwen3_inference.sequences import check_reranker_tokenizer, embedder_end
from qwen3_inference.tokenization import CONTROL_TOKENS, PromptTokenizer

_REMEDY = (
    "give tokenizer= the folder or hub name of the model's tokenizer (11 MB, no weights), for example "
    "tokenizer='Qwen/Qwen3-{kind}-0.6B'"
)


@dataclass(frozen=True)
class Description:
    """`end_ids` is empty for a reranker; `width=None` where the files do not tell."""

    tokenizer: PromptTokenizer
    end_ids: list[int]
    query_prompt: str | None
    document_prompt: str
    instruction: str | None
    width: int | None
    truncate_dim: int | None
    max_positions: int | None


@dataclass(frozen=True)
class DescriptionSource:
    """Where the description is looked for, decided without looking. `name=None`: nowhere."""

    name: str | None
    kind: str
    is_required: bool
    server_splits: bool
    """The server breaks up control tokens and cuts texts itself, as our own service does."""

    def open(self) -> Description | None:
        """The description; None where there is none and none is needed, with a warning of what that costs.

        Raises:
            CheckpointError: the tokenizer is not this kind of model's, or there is none of that name.
            HubUnavailableError: it is in no cache, and the hub cannot be reached.
        """
        if self.name is not None:
            try:
                return read_description(find_description(self.name, self.kind), self.kind)
            except (CheckpointError, HubUnavailableError):
                if self.is_required:
                    raise
        if self.server_splits:
            return None
        warnings.warn(
            "without the model's tokenizer, texts go to the server as they are: control tokens in them (<|im_end|>, "
            "<think>, ...) cannot be broken up, and lengths are the server's to check; " + remedy(self.kind),
            UserWarning,
            stacklevel=2,
        )
        return None


def description_source(
    tokenizer: str | None, model: str, kind: str, *, needed_for: str | None, max_length: int, server_splits: bool
) -> DescriptionSource:
    """Where to look: at `tokenizer`, else at `model` where that is a folder or a hub name.

    Raises:
        ValueError: there is nowhere to look, and `needed_for` or a length check cannot do without.
    """
    if tokenizer is not None and (not isinstance(tokenizer, str) or not tokenizer.strip()):
        raise ValueError(f"tokenizer={tokenizer!r} must be a folder or a hub name as a string, or None")
    name = tokenizer
    if name is None and (model == TINY or "/" in model or Path(model).is_dir()):
        name = model
    if max_length != DEFAULT_MAX_LENGTH:
        needed_for = needed_for or f"max_length={max_length}"
    if name is None and needed_for:
        raise ValueError(f"{needed_for} needs the model's tokenizer, and model={model!r} names none: {remedy(kind)}")
    is_required = tokenizer is not None or needed_for is not None
    return DescriptionSource(name, kind, is_required, server_splits)


def read_description(folder: Path, kind: str) -> Description:
    """What the files in `folder` say; of a folder with a tokenizer alone, that is the tokenizer."""
    modules = read_modules(folder)
    home = modules.transformer if modules else folder
    tokenizer = PromptTokenizer(home)
    config = read_json(home / "config.json", dict, optional=True)
    is_embedder = kind == EMBEDDING
    end_ids = embedder_end(tokenizer) if is_embedder else []
    if not is_embedder:
        check_reranker_tokenizer(tokenizer)
    instruction = modules.instruction if modules else None
    return Description(
        tokenizer,
        end_ids,
        query_prompt=modules.query_prompt if modules else None,
        document_prompt=modules.document_prompt if modules else "",
        instruction=None if is_embedder else instruction or template_instruction(home),
        width=None if modules and modules.dense else config.get("hidden_size"),
        truncate_dim=modules.truncate_dim if modules else None,
        max_positions=config.get("max_position_embeddings"),
    )


def normalized(text: str) -> str:
    """NFC, as Qwen3's tokenizer begins; llama.cpp's, which Ollama runs too, does not, and reads other tokens."""
    return unicodedata.normalize("NFC", text)


def warn_of_control_tokens(texts: Sequence[str], description: Description | None) -> None:
    """One warning for all texts with control tokens, on a route that carries texts alone."""
    controls = CONTROL_TOKENS | set(description.tokenizer.control_tokens() if description else ())
    pattern = re.compile("|".join(map(re.escape, sorted(controls))))
    found = [index for index, text in enumerate(texts) if pattern.search(text)]
    if found:
        shown = ", ".join(map(str, found[:10])) + (" ..." if len(found) > 10 else "")
        warnings.warn(
            f"{len(found)} of {len(texts)} texts (index {shown}) hold control tokens such as <|im_end|>, which this "
            "server reads as such: they may close a turn or write a verdict. A route that takes token ids keeps them "
            "text (send='tokens', prompt='tokens')",
            UserWarning,
            stacklevel=2,
        )


def remedy(kind: str) -> str:
    return _REMEDY.format(kind="Embedding" if kind == EMBEDDING else "Reranker")
