"""The prompts of the Qwen3 embedding and reranking models, byte for byte as their authors use them.

They live here once. The texts are split where the pre-tokenizer always splits, so that pieces tokenised apart
give the same ids as the whole (pinned by tests against the official tokenizers):

- `<Query>:` and `<Document>:` are always followed by a space, and a space never joins the `>:` before it;
- the text between them is tokenised in one piece, since a query's trailing blanks do join the newline that follows.
"""

from collections.abc import Callable

DEFAULT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"

RERANK_PREFIX = (
    "<|im_start|>system\n"
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
RERANK_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def query_text(query: str, instruction: str) -> str:
    """The text an embedder reads for a query. No space follows `Query:`; an empty instruction leaves the query bare.

    >>> query_text("What is MRL?", "Find the definition")
    'Instruct: Find the definition\\nQuery:What is MRL?'
    """
    return f"Instruct: {instruction}\nQuery:{query}" if instruction else query


def rerank_instruction_text(instruction: str) -> str:
    """The user turn up to the query: the same for all queries with one instruction."""
    return f"<Instruct>: {instruction}\n<Query>:"


def rerank_query_text(query: str) -> str:
    """From the query up to the document: the same for all documents of one query."""
    return f" {query}\n<Document>:"


def rerank_document_text(document: str) -> str:
    """What differs from document to document."""
    return f" {document}"


def rerank_in_two_texts(query: str, instruction: str) -> tuple[str, Callable[[str], str]]:
    """The whole prompt for servers that put query and document one after the other: the text that goes as the query,
    and what makes a document's of it. They are split at a line end, where tokenizers always split.

    >>> before, behind = rerank_in_two_texts("What is MRL?", "Find the definition")
    >>> before.endswith("<Query>: What is MRL?\\n"), behind("It is ...").startswith("<Document>: It is ...<|im_end|>")
    (True, True)
    """
    asked, between, label = rerank_query_text(query).rpartition("\n")
    before = RERANK_PREFIX + rerank_instruction_text(instruction) + asked + between
    return before, lambda document: label + rerank_document_text(document) + RERANK_SUFFIX


def check_instruction(instruction: str | None, name: str = "instruction") -> str | None:
    """Refuse an instruction that already carries the template, which would then be applied twice."""
    if instruction is None:
        return None
    if not isinstance(instruction, str):
        raise ValueError(f"{name}={instruction!r} must be a string or None (None: the authors' default)")
    if "Query:" in instruction or instruction.lstrip().startswith(("Instruct:", "<Instruct>:")):
        raise ValueError(
            f"{name}={instruction!r} contains the prompt template; pass the task alone, for example "
            f"{DEFAULT_INSTRUCTION!r}: 'Instruct:' and 'Query:' are added for you"
        )
    return instruction
