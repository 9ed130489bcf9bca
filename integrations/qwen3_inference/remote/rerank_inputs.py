"""A query and its documents as a server is given them: ids, texts in the prompt, or texts alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from qwen3_inference.prompts import DEFAULT_INSTRUCTION, rerank_document_text, rerank_in_two_texts
from qwen3_inference.remote.description import Description, normalized, warn_of_control_tokens
from qwen3_inference.remote.rerank_dialects import RerankDialect
from qwen3_inference.sequences import PairIds, cut_documents, encode_pairs
from qwen3_inference.tokenization import check_texts


@dataclass(frozen=True)
class PairInputs:
    query: str | tuple[int, ...]
    documents: Sequence[str | tuple[int, ...]]
    answer_ids: tuple[int, int] | None = None


def pair_inputs(
    query: str,
    documents: Sequence[str],
    task: str,
    description: Description | None,
    max_length: int,
    dialect: RerankDialect,
    prompt: str,
) -> PairInputs:
    """By whoever writes the prompt.

    Raises:
        ValueError: the query leaves no room for a document, or holds what the server replaces in its template.
    """
    if found := [words for words in dialect.placeholders if words in query]:
        raise ValueError(
            f"the query holds {found[0]!r}, which this server replaces in its template: another would be asked; "
            "write it with a space in between"
        )
    if prompt == "tokens" and description:
        return token_inputs(query, documents, task, description, max_length)
    if prompt == "client":
        return client_inputs(query, documents, task, description, max_length)
    return plain_inputs(
        query,
        documents,
        task,
        description,
        max_length,
        document_tokens=dialect.document_tokens,
        server_splits=dialect.splits_control_tokens,
    )


def token_inputs(
    query: str, documents: Sequence[str], task: str, description: Description, max_length: int
) -> PairInputs:
    """Ids, exact: everything before the documents, and each document with what comes after it."""
    pairs = encode_pairs(description.tokenizer, query, documents, task, max_length)
    documents_ids = [(*ids, *pairs.suffix) for ids in pairs.documents]
    return PairInputs((*pairs.opening, *pairs.asked), documents_ids, answer_ids(description))


def whole_prompts(sequences: Sequence[Sequence[int]], description: Description) -> PairInputs:
    """Whole prompts as ids: documents behind no query."""
    return PairInputs((), [tuple(ids) for ids in sequences], answer_ids(description))


def answer_ids(description: Description) -> tuple[int, int]:
    return description.tokenizer.single_id("yes"), description.tokenizer.single_id("no")


def client_inputs(
    query: str, documents: Sequence[str], task: str, description: Description | None, max_length: int
) -> PairInputs:
    """The prompt as text in two parts, for servers that put query and document one after the other."""
    given = plain_inputs(query, documents, task, description, max_length)
    before, behind = rerank_in_two_texts(str(given.query), task)
    return PairInputs(before, [behind(str(text)) for text in given.documents])


def plain_inputs(
    query: str,
    documents: Sequence[str],
    task: str | None,
    description: Description | None,
    max_length: int,
    document_tokens: int | None = None,
    server_splits: bool = False,
) -> PairInputs:
    """Texts, cut where a description tells their lengths. `document_tokens`: what the server reads of a document."""
    check_texts([query], "query")
    check_texts(documents, "document")
    texts = list(map(str, documents))
    if description:
        pairs = encode_pairs(description.tokenizer, query, documents, task or DEFAULT_INSTRUCTION, max_length)
        texts = _cut_texts(texts, pairs, description, max_length, document_tokens)
    if not server_splits:
        warn_of_control_tokens([query, *texts], description)
    return PairInputs(normalized(query), [normalized(text) for text in texts])


def _cut_texts(
    texts: list[str], pairs: PairIds, description: Description, max_length: int, document_tokens: int | None
) -> list[str]:
    room, cut = max_length - len(pairs.opening) - len(pairs.asked) - len(pairs.suffix), pairs.documents
    if document_tokens is not None and document_tokens < room:
        room, cut = document_tokens, cut_documents(cut, document_tokens, document_tokens)
    before = rerank_document_text("")
    beginning = description.tokenizer.beginning
    return [beginning(text, room, before) if len(ids) >= room else text for text, ids in zip(texts, cut, strict=True)]
