"""Per-call instructions: scoped to the block, to the stage, and to the task or thread that set them."""

import asyncio
import threading

import pytest
from qwen3_inference import use_instruction
from qwen3_inference.instructions import current_query_instruction, current_rerank_instruction


def both() -> tuple[str | None, str | None]:
    return current_query_instruction("own q"), current_rerank_instruction("own r")


def test_outside_a_block_the_own_instruction_holds():
    assert both() == ("own q", "own r")


def test_one_argument_sets_both_stages_and_ends_with_the_block():
    with use_instruction("task"):
        assert both() == ("task", "task")
    assert both() == ("own q", "own r")


def test_each_stage_can_be_set_alone_or_differently():
    with use_instruction(query="q"):
        assert both() == ("q", "own r")
    with use_instruction(rerank="r"):
        assert both() == ("own q", "r")
    with use_instruction("task", rerank="r"):
        assert both() == ("task", "r")


def test_blocks_nest_and_the_inner_one_changes_only_what_it_names():
    with use_instruction("outer"):
        with use_instruction(rerank="inner"):
            assert both() == ("outer", "inner")
            with use_instruction():
                assert both() == ("outer", "inner")
        assert both() == ("outer", "outer")


def test_an_empty_instruction_is_one_and_not_a_missing_one():
    with use_instruction("outer"), use_instruction(""):
        assert both() == ("", "")


def test_a_block_left_by_an_error_is_left():
    with pytest.raises(KeyError), use_instruction("task"):
        raise KeyError
    assert both() == ("own q", "own r")


@pytest.mark.parametrize("wrong", ["Instruct: x\nQuery:", 3])
def test_a_template_or_a_wrong_type_is_refused_at_the_block(wrong):
    with pytest.raises(ValueError, match="query instruction"), use_instruction(wrong):
        pass


async def test_concurrent_tasks_never_see_each_others():
    async def call(name: str) -> set:
        seen = set()
        with use_instruction(name):
            for _ in range(20):
                await asyncio.sleep(0)
                seen.add(both())
                seen.add(await asyncio.to_thread(both))
        return seen

    names = [f"task {i}" for i in range(10)]
    assert await asyncio.gather(*map(call, names)) == [{(name, name)} for name in names]


def test_threads_never_see_each_others():
    barrier, seen = threading.Barrier(4), {}

    def call(name: str) -> None:
        with use_instruction(name):
            barrier.wait()
            seen[name] = both()
            barrier.wait()

    threads = [threading.Thread(target=call, args=(f"t{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    barrier.wait()
    outside = both()
    barrier.wait()
    for thread in threads:
        thread.join()
    assert seen == {f"t{i}": (f"t{i}", f"t{i}") for i in range(3)}
    assert outside == ("own q", "own r")
