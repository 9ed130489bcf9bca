"""Texts to the id sequences that a model reads: prompt, text, end. What every engine does alike before it computes."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.passages import warn_of_lost_texts
from qwen3_inference.prompts import (
    DEFAULT_INSTRUCTION,
    RERANK_PREFIX,
    RERANK_SUFFIX,
    query_text,
    rerank_document_text,
    rerank_instruction_text,
    rerank_query_text,
)
from qwen3_inference.texts import TextCutWarning
from qwen3_inference.tokenization import END, PromptTokenizer, check_texts


@dataclass(frozen=True)
class PromptedIds:
    """Whole sequences that start with one prompt, and the ids they share."""

    prompt: str
    shared: list[int]
    """The prompt's ids without its last character, which may become one token with a text's first ones."""
    sequences: list[list[int]]


@dataclass(frozen=True)
class PairIds:
    """One query and its documents: a sequence is `opening + asked + document + suffix`."""

    opening: list[int]
    """The same for all queries with one instruction."""
    asked: list[int]
    documents: list[list[int]]
    """Cut to what `max_length` leaves them."""
    suffix: list[int]


def embedder_end(tokenizer: PromptTokenizer) -> list[int]:
    """What an embedder's tokenizer appends to every text: `<|endoftext|>`, whose position is the pooled one.

    Raises:
        CheckpointError: it appends something else.
    """
    end_ids = tokenizer.appended_ids()
    if end_ids != [tokenizer.token_id(END)]:
        raise CheckpointError(
            f"the tokenizer in {tokenizer.folder} appends {end_ids} to a text instead of <|endoftext|>, at whose "
            "position Qwen3-Embedding is read; take tokenizer.json from the model's hub repository (old conversions "
            "lack it, and a reranker's has none)"
        )
    return end_ids


def check_reranker_tokenizer(tokenizer: PromptTokenizer) -> None:
    """Raise CheckpointError for an embedder's tokenizer, which appends something to a text."""
    if appended := tokenizer.appended_ids():
        raise CheckpointError(
            f"the tokenizer in {tokenizer.folder} appends {appended} to a text, as an embedder's does; a reranker is "
            "read after its prompt: take tokenizer.json from the reranker's hub repository"
        )


def encode_queries(
    tokenizer: PromptTokenizer,
    queries: Sequence[str],
    instruction: str | None,
    own_prompt: str | None,
    end_ids: list[int],
    max_length: int,
) -> PromptedIds:
    """Queries behind their instruction; None: the checkpoint's `own_prompt`, and where it has none the authors' task.

    Raises:
        ValueError: a query is longer than `max_length`; it is never cut.
    """
    check_texts(queries, "query")
    if instruction is None and own_prompt is not None:
        prompt = own_prompt
        encoded, shared = tokenizer.encode(queries, prompt), tokenizer.encode([""], prompt[:-1])[0]
    else:  # an instruction may come from a user or an agent: no control token in it is one
        task = DEFAULT_INSTRUCTION if instruction is None else instruction
        prompt = query_text("", task)
        *encoded, shared = tokenizer.encode([*(query_text(query, task) for query in queries), prompt[:-1]])
    sequences = [ids + end_ids for ids in encoded]
    for index, ids in enumerate(sequences):
        if len(ids) > max_length:
            raise ValueError(
                f"query {index} takes {len(ids)} tokens with its instruction, over max_length={max_length}; "
                "a query is never cut: shorten it or raise max_length"
            )
    return PromptedIds(prompt, shared, sequences)


def encode_documents(
    tokenizer: PromptTokenizer, documents: Sequence[str], prompt: str, end_ids: list[int], max_length: int
) -> PromptedIds:
    """Documents behind `prompt`, cut to `max_length` with one warning.

    Raises:
        ValueError: the prompt leaves no room for a document.
    """
    room = max_length - len(end_ids)
    if prompt and (length := len(tokenizer.encode([""], prompt)[0])) >= room:
        raise ValueError(
            f"the document prompt takes {length} tokens, which leaves no room for a document in "
            f"max_length={max_length}; shorten text_instruction or raise max_length"
        )
    encoded = tokenizer.encode(documents, prompt)
    warn_of_lost_texts(documents, encoded, room, tokenizer)
    sequences = [ids + end_ids for ids in cut_documents(encoded, room, max_length)]
    return PromptedIds(prompt, tokenizer.encode([""], prompt[:-1])[0], sequences)


def encode_pairs(
    tokenizer: PromptTokenizer, query: str, documents: Sequence[str], task: str, max_length: int
) -> PairIds:
    """A query with its documents in the reranker's prompt; documents are cut with one warning.

    Raises:
        ValueError: the query leaves no room for a document within `max_length`; it is never cut.
    """
    check_texts([query], "query")
    opening, asked = tokenizer.encode([rerank_instruction_text(task), rerank_query_text(query)])
    texts = tokenizer.encode(documents, rerank_document_text(""))
    suffix = tokenizer.encode_template(RERANK_SUFFIX)
    opening = tokenizer.encode_template(RERANK_PREFIX) + opening
    room = max_length - len(opening) - len(asked) - len(suffix)
    if room < 1:
        raise ValueError(
            f"the query takes {len(asked)} tokens and the prompt around it {len(opening) + len(suffix)}, which "
            f"leaves no room for a document in max_length={max_length}; a query is never cut: shorten it or "
            "raise max_length"
        )
    warn_of_lost_texts(documents, texts, room, tokenizer)
    return PairIds(opening, asked, cut_documents(texts, room, max_length), suffix)


def cut_documents(sequences: list[list[int]], room: int, max_length: int) -> list[list[int]]:
    """The first `room` ids of each, with one warning for all that are longer."""
    longer = [len(ids) for ids in sequences if len(ids) > room]
    if not longer:
        return sequences
    warnings.warn(
        f"{len(longer)} of {len(sequences)} documents were cut to fit max_length={max_length} tokens (the longest has "
        f"{max(longer)}, {room} fit); split them or raise max_length",
        TextCutWarning,
        stacklevel=2,
    )
    return [ids[:room] for ids in sequences]
