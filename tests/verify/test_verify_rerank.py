"""Each fault of a reranking endpoint is named by its check, in words; a right one passes."""

import re

import pytest

from .conftest import LEVELS, wrong_checks

FAULTS = {
    "missing": ("template", "template missing"),
    "missing, with a newline": ("template", "template missing"),
    "twice": ("template", "template twice"),
    "sglang": ("template", "SGLang's template"),
    "no think block": ("template", "think block is missing"),
    "one newline": ("template", "one newline instead of two"),
    "full stop": ("template", "full stop"),
    "no system turn": ("template", "system turn is missing"),
    "no instruction": ("template", "line with the instruction is missing"),
    "no end": ("template", "end of the prompt is missing"),
    "token behind": ("template", r"<\|endoftext\|> behind the prompt"),
    "roles unknown": ("template", "neither query nor document"),
    "document unseen": ("template", "documents do not reach"),
    "exchanged": ("template", "change places"),
    "swapped": ("labels", "yes and no are swapped"),
    "logits": ("scale", "logits instead of probabilities"),
    "sigmoid twice": ("scale", "sigmoid is applied twice"),
    "no head": ("model", "head is missing"),
    "constant": ("template", "every document gets the score"),
    "instruction ignored": ("instruction", "instruction ignored"),
    "cut": ("truncation", "cut at fewer than"),
    "sorted": ("order", "another order"),
    "batch": ("batch", "depends on the batch"),
    "nan": ("numbers", "nan"),
}
WITHOUT_WEIGHTS = {
    "roles unknown",
    "logits",
    "no head",
    "constant",
    "instruction ignored",
    "cut",
    "sorted",
    "batch",
    "nan",
}
WITH_TOKENIZER = WITHOUT_WEIGHTS | {
    "missing", "missing, with a newline", "twice", "sglang", "no think block", "one newline", "full stop",
    "no system turn", "no instruction", "no end", "token behind", "document unseen", "exchanged",
}  # fmt: skip


@pytest.mark.parametrize("wrong", FAULTS)
def test_a_fault_is_named_by_its_check(wrong, verified_rerank):
    found = wrong_checks(verified_rerank(wrong))
    check, words = FAULTS[wrong]
    assert set(found) == {check}, found
    assert re.search(words, found[check]), found


@pytest.mark.parametrize("wrong", sorted(WITHOUT_WEIGHTS))
def test_a_fault_that_the_endpoint_alone_shows(wrong, verified_rerank):
    assert FAULTS[wrong][0] in wrong_checks(verified_rerank(wrong, level="endpoint"))


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
@pytest.mark.parametrize("wrong", sorted(WITH_TOKENIZER))
def test_a_fault_that_the_tokenizer_shows(wrong, dialect, verified_rerank):
    check, words = FAULTS[wrong]
    found = wrong_checks(verified_rerank(wrong, level="tokenizer", dialect=dialect))
    assert re.search(words, found[check]), found


@pytest.mark.parametrize("wrong", ["missing", "twice", "no think block"])
def test_a_prompt_that_the_count_of_tokens_shows(wrong, verified_rerank):
    """llama.cpp has no route for whole prompts as ids."""
    found = wrong_checks(verified_rerank(wrong, level="tokenizer", dialect="llama.cpp"))
    assert re.search(FAULTS[wrong][1], found["template"])


def test_the_template_of_the_client_and_the_servers(verified_rerank):
    found = wrong_checks(verified_rerank(prompt="client", template=True))
    assert "template twice" in found["template"]


@pytest.mark.parametrize("wrong", ["swapped", "logits", "sigmoid twice"])
def test_a_scale_beside_a_missing_template(wrong, verified_rerank):
    found = wrong_checks(verified_rerank(wrong, template=False))
    assert set(found) == {FAULTS[wrong][0], "template"}
    assert "template missing" in found["template"]


def test_the_template_of_the_client_and_a_servers_with_one_newline(verified_rerank):
    found = wrong_checks(verified_rerank("one newline", prompt="client", template=True))
    assert "the server's with one newline" in found["template"]


def test_ids_that_are_decoded_and_encoded_again(verified_rerank):
    for level in ("tokenizer", "weights"):
        found = wrong_checks(verified_rerank(level=level, prompt="tokens", ids="decoded"))
        assert "together again" in found["control_tokens"]


@pytest.mark.parametrize("wrong", ["swapped", "logits", "sigmoid twice"])
def test_a_scale_behind_exact_ids(wrong, verified_rerank):
    found = wrong_checks(verified_rerank(wrong, prompt="tokens"))
    assert set(found) == {FAULTS[wrong][0]}


def test_logits_where_the_client_is_told_so(verified_rerank):
    assert wrong_checks(verified_rerank("logits", scores="logit")) == {}
    assert "scale" in wrong_checks(verified_rerank("", scores="logit"))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dialect", "prompt"), [
    ("vllm", "server"), ("vllm", "client"), ("vllm", "tokens"), ("sglang", "server"), ("sglang", "tokens"),
    ("llama.cpp", "server"), ("tei", "client"), ("siliconflow", "server"),
])  # fmt: skip
def test_a_right_server_passes(level, dialect, prompt, verified_rerank):
    if prompt == "tokens" and level == "endpoint":
        pytest.skip("ids need the tokenizer")
    found = verified_rerank(level=level, dialect=dialect, prompt=prompt)
    assert wrong_checks(found) == {}
    if level == "weights":
        assert {one.verdict for one in found.values()} <= {"ok", "not applicable"}, found
