"""Queries and documents as a server is given them: ids, or texts behind their prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from qwen3_inference.prompts import DEFAULT_INSTRUCTION, query_text
from qwen3_inference.remote.description import Description, normalized, warn_of_control_tokens
from qwen3_inference.sequences import encode_documents, encode_queries
from qwen3_inference.tokenization import check_texts


@dataclass(frozen=True)
class Inputs:
    texts: Sequence[str | tuple[int, ...]]
    role: str
    """"query" or "document"."""
    instruction: str | None = None
    """For a server that writes the prompt."""


def query_inputs(
    queries: Sequence[str],
    instruction: str | None,
    description: Description | None,
    max_length: int,
    as_tokens: bool,
    server_prompts: bool,
) -> Inputs:
    """Raises ValueError for a query over `max_length`, where a description tells its length."""
    check_texts(queries, "query")
    own_prompt = description.query_prompt if description else None
    if description:
        encoded = encode_queries(
            description.tokenizer, queries, instruction, own_prompt, description.end_ids, max_length
        )
        if as_tokens:
            return Inputs([tuple(ids) for ids in encoded.sequences], "query")
    if server_prompts:
        return Inputs(list(queries), "query", instruction)
    warn_of_control_tokens(queries, description)
    if instruction is None and own_prompt is not None:
        return Inputs([own_prompt + normalized(query) for query in queries], "query")
    task = DEFAULT_INSTRUCTION if instruction is None else instruction
    return Inputs([normalized(query_text(query, task)) for query in queries], "query")


def document_inputs(
    documents: Sequence[str],
    prompt: str | None,
    description: Description | None,
    max_length: int,
    as_tokens: bool,
    server_prompts: bool,
) -> Inputs:
    """Cut to `max_length` with one warning, where a description tells their lengths.

    Raises:
        ValueError: the server writes the prompt, and another one is asked for.
    """
    check_texts(documents, "document")
    if server_prompts and prompt:
        raise ValueError(
            f"text_instruction={prompt!r} cannot be carried: this server writes the prompt of documents itself; set it "
            "there, or leave it out"
        )
    own_prompt = description.document_prompt if description else ""
    before = own_prompt if prompt is None else prompt
    texts = list(map(str, documents))
    if description:
        encoded = encode_documents(description.tokenizer, documents, before, description.end_ids, max_length)
        if as_tokens:
            return Inputs([tuple(ids) for ids in encoded.sequences], "document")
        room = max_length - len(description.end_ids)
        for index, ids in enumerate(encoded.sequences):
            if len(ids) == max_length:  # it may be longer
                texts[index] = description.tokenizer.beginning(texts[index], room, before)
    if server_prompts:
        return Inputs(texts, "document")
    warn_of_control_tokens(texts, description)
    return Inputs([before + normalized(text) for text in texts], "document")
