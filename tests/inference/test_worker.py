"""One forward at a time, from threads and loops alike; the loop stays free; cancelling harms nobody."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from qwen3_inference.local.worker import MAX_WAITING, ModelWorker
from support.engines import VECTOR_TOLERANCE, assert_close, embedder, reranker


class Watched:
    """Work that takes a moment and notes how many run at once."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds, self.running, self.most, self.done = seconds, 0, 0, 0

    def __call__(self, progress=None):
        self.running += 1
        self.most = max(self.most, self.running)
        time.sleep(self.seconds)
        self.running -= 1
        self.done += 1
        return self.done


async def ticks_during(awaitable, every: float = 0.005) -> tuple[int, float]:
    """How often the loop came round while `awaitable` ran, and the longest gap."""
    count, longest, last = 0, 0.0, time.perf_counter()
    task = asyncio.ensure_future(awaitable)
    while not task.done():
        await asyncio.sleep(every)
        now = time.perf_counter()
        count, longest, last = count + 1, max(longest, now - last), now
    await task
    return count, longest


async def test_the_loop_ticks_while_work_runs():
    count, longest = await ticks_during(ModelWorker().arun(Watched(0.5)))
    assert count > 20
    assert longest < 0.3


async def test_the_loop_ticks_while_a_model_loads_and_runs(embedding_folder, reranker_folder):
    for call in (
        embedder(embedding_folder).aembed_documents(["a long text " * 300] * 60),
        embedder(embedding_folder).aembed_queries(["a long text " * 300] * 60),
        reranker(reranker_folder).ascore("q", ["a long text " * 300] * 60),
    ):
        started = time.perf_counter()
        count, longest = await ticks_during(call)
        assert count > 3
        assert longest < 0.8 * (time.perf_counter() - started), (
            "one gap as long as the whole call: the loop was blocked"
        )


async def test_concurrent_async_calls_never_overlap():
    worker, work = ModelWorker(), Watched()
    await asyncio.gather(*(worker.arun(work) for _ in range(20)))
    assert (work.most, work.done) == (1, 20)


def test_threads_loops_and_sync_callers_never_overlap():
    worker, work = ModelWorker(), Watched(0.003)

    async def several() -> None:
        await asyncio.gather(*(worker.arun(work) for _ in range(10)))

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(asyncio.run, several()) for _ in range(4)] + [
            pool.submit(worker.run, work) for _ in range(20)
        ]
        for call in calls:
            call.result()
    assert (work.most, work.done) == (1, 60)


def test_one_engine_serves_several_loops_one_after_another(embedding_folder):
    engine = embedder(embedding_folder)
    first = asyncio.run(engine.aembed_queries(["a"]))
    second = asyncio.run(engine.aembed_queries(["a"]))
    assert_close(first, second, VECTOR_TOLERANCE)
    assert_close(engine.embed_queries(["a"]), first, VECTOR_TOLERANCE)


async def test_no_more_than_the_bound_are_queued():
    worker, hold = ModelWorker(), threading.Event()
    calls = [asyncio.ensure_future(worker.arun(lambda _: hold.wait())) for _ in range(MAX_WAITING * 3)]
    await asyncio.sleep(0.1)
    assert worker._executor._work_queue.qsize() < MAX_WAITING
    hold.set()
    assert all(await asyncio.gather(*calls))


async def test_two_hundred_concurrent_queries_equal_the_sequential_ones(embedding_folder):
    engine = embedder(embedding_folder)
    queries = [f"query {i} " + "word " * (i % 17) for i in range(200)]
    together = await asyncio.gather(*(engine.aembed_queries([query]) for query in queries))
    for query, vector in zip(queries, together, strict=True):
        assert_close(vector, engine.embed_queries([query]), VECTOR_TOLERANCE)


async def test_a_refused_query_leaves_concurrent_ones_alone(embedding_folder):
    engine = embedder(embedding_folder, max_length=100)
    calls = [["fine"], ["too long " * 100], ["also fine"], ["\ud800"], ["the last"]]
    results = await asyncio.gather(*(engine.aembed_queries(call) for call in calls), return_exceptions=True)
    for call, result in list(zip(calls, results, strict=True))[::2]:
        assert_close(result, engine.embed_queries(call), VECTOR_TOLERANCE)
    assert "a query is never cut" in str(results[1])
    assert "lone surrogate" in str(results[3])


async def test_concurrent_calls_with_other_instructions_and_dimensions_stay_apart(embedding_folder):
    engine = embedder(embedding_folder)
    settings = [{"instruction": f"task {i % 3}", "dimensions": (8, 16, None)[i % 2]} for i in range(12)]
    results = await asyncio.gather(*(engine.aembed_queries(["a", "b"], **options) for options in settings))
    for options, result in zip(settings, results, strict=True):
        assert_close(result, engine.embed_queries(["a", "b"], **options), 1e-5)


async def test_a_cancelled_query_leaves_concurrent_ones_alone(embedding_folder):
    engine = embedder(embedding_folder)
    calls = [asyncio.ensure_future(engine.aembed_queries([f"query {i}"])) for i in range(30)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    for i, result in enumerate(results):
        if i % 3:
            assert_close(result, engine.embed_queries([f"query {i}"]), VECTOR_TOLERANCE)
        else:
            assert isinstance(result, asyncio.CancelledError)


async def test_a_call_cancelled_while_queued_never_runs():
    worker, hold, work = ModelWorker(), threading.Event(), Watched()
    running = asyncio.ensure_future(worker.arun(lambda _: hold.wait()))
    queued = asyncio.ensure_future(worker.arun(work))
    await asyncio.sleep(0.05)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    hold.set()
    await running
    assert await worker.arun(lambda _: "usable") == "usable"
    assert work.done == 0


async def test_a_call_cancelled_while_running_stops_after_its_batch(embedding_folder):
    engine = embedder(embedding_folder, max_batch_tokens=1)  # a batch for each text
    before = await engine.aembed_documents(["a"])
    finished: list[int] = []
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def progress(done: int) -> None:
        finished.append(done)
        loop.call_soon_threadsafe(begun.set)

    call = asyncio.ensure_future(engine.aembed_documents(["some text " * 200] * 500, progress=progress))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    after = await asyncio.wait_for(engine.aembed_documents(["a"]), 30)
    assert (after == before).all()
    assert len(finished) < 500


async def test_cancelled_waiters_give_their_places_back():
    worker, hold = ModelWorker(), threading.Event()
    calls = [asyncio.ensure_future(worker.arun(lambda _: hold.wait())) for _ in range(MAX_WAITING * 2)]
    await asyncio.sleep(0.05)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    hold.set()
    assert await asyncio.gather(*(worker.arun(lambda _: 1) for _ in range(MAX_WAITING * 2))) == [1] * MAX_WAITING * 2


async def test_an_error_in_one_call_leaves_the_others_alone():
    def fail(progress):
        raise ArithmeticError("one")

    worker = ModelWorker()
    results = await asyncio.gather(
        worker.arun(lambda _: 1), worker.arun(fail), worker.arun(lambda _: 3), return_exceptions=True
    )
    assert results[::2] == [1, 3]
    assert isinstance(results[1], ArithmeticError)


async def test_a_timeout_does_not_stop_the_engine(reranker_folder):
    engine = reranker(reranker_folder, max_batch_tokens=1)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(engine.ascore("q", ["long text " * 300] * 400), 0.05)
    assert (await engine.ascore("q", ["a"])).shape == (1,)
