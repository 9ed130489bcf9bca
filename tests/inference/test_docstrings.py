"""The examples in the public docstrings run and show what they say."""

import doctest
import importlib

import pytest
from qwen3_inference.hub import tiny_folder

MODULES = [
    "qwen3_inference.local.batching",
    "qwen3_inference.instructions",
    "qwen3_inference.prompts",
    "qwen3_inference.local.embedding",
    "qwen3_inference.local.rerank",
    "qwen3_inference.remote.address",
    "qwen3_inference.remote.embedding",
    "qwen3_inference.remote.rerank",
    "llama_index.embeddings.qwen3.base",
    "llama_index.embeddings.qwen3.generated",
    "llama_index.postprocessor.qwen3_rerank.base",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder().find(module, extraglobs=vars(module)) if test.examples]
    assert tests, f"{name} has no examples"
    needs_tiny = any('"tiny"' in example.source for test in tests for example in test.examples)
    if needs_tiny and not (tiny_folder("embedding") / "config.json").is_file():
        pytest.skip("the bundled pair is not in this checkout")
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0
