"""The prompts, byte for byte, written out here a second time on purpose."""

import pytest
from qwen3_inference.prompts import (
    DEFAULT_INSTRUCTION,
    RERANK_PREFIX,
    RERANK_SUFFIX,
    check_instruction,
    query_text,
    rerank_document_text,
    rerank_instruction_text,
    rerank_query_text,
)

RERANK_PROMPT = (
    b"<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    b'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n<Instruct>: TASK\n'
    b"<Query>: QUERY\n<Document>: DOC<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)


def test_the_rerank_prompt_is_the_authors_byte_for_byte():
    ours = (
        RERANK_PREFIX
        + rerank_instruction_text("TASK")
        + rerank_query_text("QUERY")
        + rerank_document_text("DOC")
        + RERANK_SUFFIX
    )
    assert ours.encode() == RERANK_PROMPT


def test_the_query_prompt_is_the_authors_byte_for_byte():
    prompt = query_text("What?", DEFAULT_INSTRUCTION)
    assert prompt.encode() == (
        b"Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:What?"
    )


def test_an_empty_instruction_leaves_the_query_as_it_is():
    assert query_text("What?", "") == "What?"


@pytest.mark.parametrize(
    "template", ["Instruct: find it\nQuery:", "  Instruct: find it", "<Instruct>: find it", "find\nQuery: "]
)
def test_an_instruction_that_carries_the_template_is_refused(template):
    with pytest.raises(ValueError, match="pass the task alone"):
        check_instruction(template)


@pytest.mark.parametrize("wrong", [3, b"task", ["task"]])
def test_an_instruction_that_is_no_string_is_refused(wrong):
    with pytest.raises(ValueError, match=r"query_instruction=.* must be a string or None"):
        check_instruction(wrong, "query_instruction")


@pytest.mark.parametrize("fine", [None, "", "Find the definition", "Instruct the reader"])
def test_other_instructions_pass_unchanged(fine):
    assert check_instruction(fine) is fine
