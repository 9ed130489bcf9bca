"""The prompts of the model cards, for the methods that leave them to their caller.

Written out here and not taken from the package: the comparison must not depend on the code it measures.
"""

from shapes import TASK

SYSTEM = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
OPENING = f"{SYSTEM}<Instruct>: {TASK}\n<Query>:"


def query_prompt(query: str) -> str:
    """What an embedder reads for a query."""
    return f"Instruct: {TASK}\nQuery:{query}"


def pair_text(query: str, document: str) -> str:
    """What a reranker reads between the system text and the suffix."""
    return f"<Instruct>: {TASK}\n<Query>: {query}\n<Document>: {document}"


def document_prompt(query: str, document: str) -> str:
    """The whole prompt for one passage."""
    return SYSTEM + pair_text(query, document) + SUFFIX
