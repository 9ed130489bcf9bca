"""Each fault of an embedding endpoint is named by its check, in words; a right one passes."""

import re

import pytest

from .conftest import LEVELS, wrong_checks

FAULTS = {
    "no end": ("eos", "EOS missing"),
    "turn end": ("eos", r"<\|im_end\|> at the end of a text instead of <\|endoftext\|>"),
    "end twice": ("eos", "EOS twice"),
    "start": ("eos", "before a text"),
    "mean": ("pooling", "mean pooling"),
    "cls": ("pooling", r"first-token \(cls\) pooling"),
    "max": ("pooling", "max pooling"),
    "not normalised": ("norm", "not normalised"),
    "prompt before all": ("prompt", "prompt twice"),
    "newline to blank": ("newlines", "newlines are replaced by blanks"),
    "newlines removed": ("newlines", "newlines are removed"),
    "stripped": ("newlines", "blanks around a text are cut off"),
    "collapsed": ("newlines", "runs of blanks become one"),
    "lower case": ("newlines", "lower case"),
    "cut": ("truncation", "cut at 12 tokens"),
    "cut without an end": ("truncation", "cut at 12 tokens"),
    "cut vectors not renormalised": ("dimensions", "not renormalised"),
    "last numbers": ("dimensions", "others than the first"),
    "narrow": ("dimensions", "the endpoint cuts them"),
    "reversed": ("order", "another order"),
    "sorted by length": ("order", "another order"),
    "equal lengths": ("batch", "a text beside a second copy of itself"),
    "padding": ("batch", "depends on the batch"),
    "nan": ("numbers", "NaN"),
    "quarter in base64": ("base64", "8 numbers instead of 32"),
}
WITHOUT_WEIGHTS = {
    "cls", "not normalised", "newline to blank", "cut vectors not renormalised", "last numbers", "reversed",
    "sorted by length", "equal lengths", "padding", "nan", "quarter in base64",
}  # fmt: skip
WITH_TOKENIZER = WITHOUT_WEIGHTS | {
    "no end", "turn end", "end twice", "start", "prompt before all", "newlines removed", "collapsed",
}  # fmt: skip


@pytest.mark.parametrize("wrong", FAULTS)
def test_a_fault_is_named_by_its_check(wrong, verified_embedding):
    found = wrong_checks(verified_embedding(wrong))
    check, words = FAULTS[wrong]
    assert set(found) == {check}, found
    assert re.search(words, found[check]), found


@pytest.mark.parametrize("wrong", sorted(WITHOUT_WEIGHTS))
def test_a_fault_that_the_endpoint_alone_shows(wrong, verified_embedding):
    assert FAULTS[wrong][0] in wrong_checks(verified_embedding(wrong, level="endpoint"))


@pytest.mark.parametrize("wrong", sorted(WITH_TOKENIZER))
def test_a_fault_that_the_tokenizer_shows(wrong, verified_embedding):
    assert FAULTS[wrong][0] in wrong_checks(verified_embedding(wrong, level="tokenizer"))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("send", ["text", "auto"])
@pytest.mark.parametrize("ids", ["exact", "refused", "decoded"])
def test_a_right_server_passes(level, send, ids, verified_embedding):
    found = verified_embedding(level=level, send=send, ids=ids)
    assert wrong_checks(found) == {}
    if level == "weights":
        assert {one.verdict for one in found.values()} == {"ok"}, found
