"""One engine from many threads, event loops and forked processes; cancelled calls leave nothing behind."""

import asyncio
import gc
import os
import pickle
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from qwen3_inference.errors import EngineUnavailableError
from qwen3_inference.remote.background import BACKGROUND
from support.engines import assert_close, embedder, reranker

TEXTS = [f"text {index} of many" for index in range(64)]


def tasks_left() -> int:
    loop = BACKGROUND._running_loop()
    return len([task for task in asyncio.all_tasks(loop) if not task.done()])


def until(condition, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def test_fifty_loops_and_thirty_two_threads(serve, remote_embedder, remote_reranker, embedding_folder, reranker_folder):
    server = serve()
    engine, judge = remote_embedder(server, timeout=60), remote_reranker(server, timeout=60)
    vectors = embedder(embedding_folder).embed_documents(TEXTS)
    scores = reranker(reranker_folder).score("How?", TEXTS)

    async def several(start: int) -> None:
        part = slice(start, start + 4)
        found = await asyncio.gather(engine.aembed_documents(TEXTS[part]), judge.ascore("How?", TEXTS[part]))
        assert_close(found[0], vectors[part], 1e-5)
        assert_close(found[1], scores[part], 2e-5)

    def call(number: int) -> None:
        if number < 50:
            asyncio.run(several(number))
        else:
            part = slice(number - 50, number - 46)
            assert_close(engine.embed_documents(TEXTS[part]), vectors[part], 1e-5)
            assert_close(judge.score("How?", TEXTS[part]), scores[part], 2e-5)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(call, range(100)))
    until(lambda: tasks_left() == 0)


async def test_the_event_loop_is_never_blocked(serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server, timeout=5)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with server.fault("hangs", times=1):
        asking = asyncio.create_task(engine.aembed_documents(["one"]))
        await asyncio.sleep(0.5)
        assert ticks > 20
        asking.cancel()
    ticking.cancel()
    await asyncio.gather(asking, ticking, return_exceptions=True)


async def test_a_cancelled_call_leaves_no_task_and_an_engine_that_works(serve, remote_embedder, embedding_folder):
    server = serve()
    engine = remote_embedder(server, send="tokens", batch_size=1)
    await engine.aembed_documents(["one"])
    with server.fault("hangs"):
        calls = [asyncio.create_task(engine.aembed_documents(TEXTS)) for _ in range(3)]
        await asyncio.sleep(0.3)
        for call in calls:
            call.cancel()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in found)
        await asyncio.to_thread(until, lambda: tasks_left() == 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert_close(await engine.aembed_documents(TEXTS), embedder(embedding_folder).embed_documents(TEXTS), 1e-5)


async def test_a_timeout_of_the_callers_bounds_a_call(serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server)
    with server.fault("hangs"), pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.aembed_queries(["How?"]), 0.2)
    await asyncio.to_thread(until, lambda: tasks_left() == 0)
    assert (await engine.aembed_queries(["How?"])).shape == (1, 32)


def test_a_server_that_hangs_fails_all_calls_that_wait_in_time(serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server, send="tokens", concurrency=1, timeout=1)
    engine.embed_documents(["one"])

    def failing(_: int) -> float:
        started = time.monotonic()
        with pytest.raises(EngineUnavailableError, match="no answer within timeout=1 seconds"):
            engine.embed_documents(TEXTS[:2])
        return time.monotonic() - started

    with server.fault("hangs"), ThreadPoolExecutor(16) as pool:
        assert max(pool.map(failing, range(16))) < 4, "not one timeout after the other"
    assert engine.embed_documents(["one"]).shape == (1, 32)


def test_no_more_requests_at_once_than_said_and_fewer_after_an_overload(serve, remote_embedder):
    server = serve()
    engine = remote_embedder(server, send="tokens", batch_size=1, concurrency=4)
    engine.embed_documents(["one"])
    server.busiest = 0
    with server.fault("429", times=6):
        assert engine.embed_documents(TEXTS).shape == (64, 32)
    assert server.busiest <= 4
    assert len(server.seen) >= 64 + 6


def test_progress_counts_every_text_and_its_error_ends_the_call(serve, remote_embedder, remote_reranker):
    server = serve()
    engine, done = remote_embedder(server, send="tokens", batch_size=2, concurrency=2), []
    engine.embed_documents([*TEXTS, *TEXTS[:3]], progress=done.append)
    assert sum(done) == 67
    assert max(done) <= 4

    class StopHereError(Exception):
        pass

    def stop(_: int) -> None:
        raise StopHereError

    before = len(server.seen)
    with pytest.raises(StopHereError):
        engine.embed_documents(TEXTS, progress=stop)
    assert len(server.seen) - before <= 4
    with pytest.raises(StopHereError):
        remote_reranker(server).score("How?", TEXTS, progress=stop)
    until(lambda: tasks_left() == 0)


def test_progress_may_use_the_engine(serve, remote_embedder):
    engine = remote_embedder(serve(), send="tokens", batch_size=8)
    engine.embed_documents(TEXTS, progress=lambda _: engine.embed_queries(["How?"]))

    def call(_: int) -> None:  # more of them than the engine has threads
        engine.embed_documents(TEXTS[:20], progress=lambda _: engine.embed_queries(["How?"]))

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(call, range(24)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_goes_on_with_the_engine(serve, remote_embedder, embedding_folder):
    server = serve()
    engine = remote_embedder(server, send="tokens")
    expected = embedder(embedding_folder).embed_documents(TEXTS[:4])
    engine.embed_documents(["one"])
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of a fork with threads, which is what is tried
        child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            signal.alarm(30)  # a child that hangs would outlive the tests
            os.write(writing, pickle.dumps(engine.embed_documents(TEXTS[:4])))
        finally:
            os._exit(0)
    os.close(writing)
    assert_close(engine.embed_documents(TEXTS[:4]), expected, 1e-5)
    with os.fdopen(reading, "rb") as pipe:
        found = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    assert_close(np.asarray(found), expected, 1e-5)


def test_collected_engines_close_their_connections(serve, remote_embedder):
    server = serve()
    for _ in range(5):
        remote_embedder(server).embed_documents(["one"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    until(lambda: tasks_left() == 0)
    assert len([thread for thread in threading.enumerate() if thread.name == "qwen3-http"]) == 1
