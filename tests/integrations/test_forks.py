"""A process that forks after use answers in the child: both classes, sync and async, whatever ran in the parent."""

import asyncio
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_inference.local.processes import LOADING, ForkSafeLock
from support.engines import FLOAT32_ON_CPU, VECTOR_TOLERANCE
from support.forks import SECONDS, in_child
from support.threads import torch_threads

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
TEXTS = [f"{i} a text of some length, so that threads have work " * 20 for i in range(8)]
Calls = dict[str, Callable[[], list[float]]]


@pytest.fixture
def several_threads() -> Iterator[None]:
    with torch_threads(2):
        torch.ones(300, 300) @ torch.ones(300, 300)  # where there were more, OpenMP lets the others end now
        yield


@pytest.fixture(params=["embedding", "reranker"])
def calls(request: pytest.FixtureRequest, several_threads: None) -> Calls:
    """`sync` and `async`: one operation of one fresh model, as numbers."""
    folder = str(request.getfixturevalue(f"{request.param}_folder"))
    if request.param == "embedding":
        model = Qwen3Embedding(folder, **FLOAT32_ON_CPU)
        return {
            "sync": lambda: np.ravel([*model.get_text_embedding_batch(TEXTS), model.get_query_embedding("q")]).tolist(),
            "async": lambda: asyncio.run(_embed(model)),
        }
    rerank = Qwen3Rerank(folder, top_n=10, **FLOAT32_ON_CPU)
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    return {
        "sync": lambda: [found.score for found in rerank.postprocess_nodes(nodes, query_str="q")],
        "async": lambda: [found.score for found in asyncio.run(rerank.apostprocess_nodes(nodes, query_str="q"))],
    }


async def _embed(model: Qwen3Embedding) -> list[float]:
    texts, query = await asyncio.gather(model.aget_text_embedding_batch(TEXTS), model.aget_query_embedding("q"))
    return np.ravel([*texts, query]).tolist()


def assert_same(ours: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(ours, expected, atol=VECTOR_TOLERANCE)


@pytest.mark.parametrize("after", ["sync", "async"])
@pytest.mark.parametrize("before", ["sync", "async"])
def test_a_child_answers_after_use_in_the_parent(calls, before, after):
    expected = calls[before]()
    assert_same(in_child(calls[after])[0], expected)
    assert_same(calls[before](), expected)  # the parent goes on


def test_a_child_answers_both_ways_one_after_the_other(calls):
    expected = calls["sync"]()
    for order in (("async", "sync", "async"), ("sync", "async", "sync")):
        results, _ = in_child(lambda order=order: [calls[way]() for way in order])
        for result in results:
            assert_same(result, expected)


def test_a_child_computes_with_one_thread_and_says_so_once(calls):
    calls["sync"]()

    def twice() -> int:
        calls["async"](), calls["sync"]()
        return torch.get_num_threads()

    threads, said = in_child(twice)
    assert threads == 1
    assert len(said) == 1
    assert "was forked from one that computes with 2 threads" in said[0]
    assert "'spawn' or 'forkserver'" in said[0]
    assert torch.get_num_threads() == 2, "the parent keeps its threads"


def test_a_child_of_a_parent_with_one_thread_says_nothing(calls):
    torch.set_num_threads(1)
    calls["sync"]()
    assert in_child(calls["sync"])[1] == []


def test_a_first_use_in_the_child_works(calls):
    torch.ones(300, 300) @ torch.ones(300, 300)  # the parent's OpenMP has its threads
    result, _ = in_child(calls["sync"])
    assert_same(result, calls["sync"]())


def test_a_tokenizer_told_to_use_threads_does_not_hang_in_the_child(calls, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    torch.set_num_threads(1)
    expected = calls["sync"]()
    assert_same(in_child(calls["sync"])[0], expected)


def test_a_child_of_a_child_answers(calls):
    expected = calls["async"]()

    def grandchild() -> list[float]:
        calls["async"]()
        result, said = in_child(calls["async"])
        assert said == [], "its parent computes with one thread already"
        return result

    assert_same(in_child(grandchild)[0], expected)


def test_a_fork_from_another_thread_and_from_a_running_loop(calls):
    expected = calls["async"]()
    with ThreadPoolExecutor(1) as pool:
        assert_same(pool.submit(in_child, calls["async"]).result()[0], expected)

    async def fork() -> list[float]:
        return in_child(calls["async"])[0]

    assert_same(asyncio.run(fork()), expected)


def test_a_fork_during_a_forward_of_another_thread(calls):
    expected = calls["sync"]()
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            calls["sync"]()
            calls["async"]()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for way in ("sync", "async") * 4:
            assert_same(in_child(calls[way])[0], expected)
    finally:
        stop.set()
        thread.join()


def test_a_fork_during_the_load_in_another_thread(calls):
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(calls["sync"])
        for pause in (0.0, 0.02, 0.1):
            time.sleep(pause)
            ours = in_child(calls["async"])[0]
            assert_same(ours, loading.result() if loading.done() else in_child(calls["sync"])[0])
        assert_same(ours, loading.result())


def test_a_model_whose_load_is_held_up_loads_anew_in_the_child(calls, monkeypatch):
    """The parent's load stands still for longer than a fork waits."""
    monkeypatch.setattr("qwen3_inference.local.processes.LONGEST_WAIT", 0.05)
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with LOADING.held():
            held.set()
            leave.wait()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(hold)
        held.wait()
        waiting = pool.submit(calls["sync"])
        try:
            ours, _ = in_child(calls["async"])
        finally:
            leave.set()
        assert_same(ours, waiting.result())


def test_queries_that_wait_in_the_parent_are_not_computed_in_the_child(embedding_folder):
    model = Qwen3Embedding(str(embedding_folder), **FLOAT32_ON_CPU)
    expected = model.get_query_embedding("a")
    engine = model._local_engine
    hold, held = threading.Event(), threading.Event()

    async def ask() -> list[float]:
        calls = [asyncio.ensure_future(model.aget_query_embedding("a")) for _ in range(100)]
        await asyncio.sleep(0)  # all have begun
        assert engine._coalescer._waiting
        try:
            seen = in_child(lambda: (dict(engine._coalescer._waiting), asyncio.run(model.aget_query_embedding("a"))))[0]
        finally:
            hold.set()
        await asyncio.gather(*calls)
        return seen

    with ThreadPoolExecutor(1) as pool:
        pool.submit(engine._worker.run, lambda _: (held.set(), hold.wait()))
        held.wait()
        waiting, vector = asyncio.run(ask())
    assert waiting == {}
    assert_same(vector, expected)


def test_a_pool_of_forked_processes_is_used_again_and_again(calls):
    expected = calls["async"]()
    POOLED.update(calls)
    fork = multiprocessing.get_context("fork")
    # The warning of the one thread, an error under pytest, is another test's.
    with ProcessPoolExecutor(2, fork, initializer=warnings.simplefilter, initargs=("ignore",)) as pool:
        for result in pool.map(_in_pool, ["sync", "async"] * 5, timeout=SECONDS):
            assert_same(result, expected)


POOLED: Calls = {}


def _in_pool(way: str) -> list[float]:
    return POOLED[way]()


def test_a_fork_inside_a_held_lock_leaves_it_in_both_processes():
    lock = ForkSafeLock()

    def use() -> str:
        with lock.held():
            return "free"

    with lock.held():
        assert in_child(use)[0] == "free"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(use).result(timeout=5) == "free"
