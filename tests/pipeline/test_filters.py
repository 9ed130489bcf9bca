"""Conditions on metadata against what they say, on a real database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import TextNode
from qwen3_rag import Models, Session
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.query.engine import make_retriever
from qwen3_rag.query.filters import parse_filters
from qwen3_rag.store.vector_store import RagVectorStore
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import examples

from .conftest import OpenStore, write

SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
NUMBERS: list[int | float] = [-3, -0.5, 0, 2, 2.5, 10, 2023, 2024]
TEXTS = ["alpha", "beta", "10", "a\\b", 'say "x"', "100%", "naïve 日本", "2024-01-31-beta", "2024-01-31/a.md", "<=3"]
DATES = [date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 1)]
TIMES = [datetime(2024, 1, 31, 0, 0), datetime(2024, 1, 31, 9, 30, 15), datetime(2024, 2, 1, 23, 59, 59)]


def rows() -> Iterator[dict[str, Any]]:
    yield from ({"n": number} for number in NUMBERS)
    yield from ({"t": text} for text in TEXTS)
    yield from ({"d": day.isoformat()} for day in DATES)
    yield from ({"w": f"{time.isoformat()}+00:00"} for time in TIMES)
    yield from ({"w": day.isoformat()} for day in DATES)


@pytest.fixture
def search(config: RagConfig, store_of: OpenStore) -> Callable[[str], list[dict[str, Any]]]:
    store: RagVectorStore = store_of()
    embed_model = HashingEmbedding()
    nodes = [TextNode(text=f"row {index}", id_=str(index), metadata=row) for index, row in enumerate(rows())]
    for node in nodes:
        node.embedding = embed_model.get_text_embedding(node.text)
    store.add(list(nodes))
    config = config.model_copy(update={"top_k": 100})

    def run(condition: str) -> list[dict[str, Any]]:
        hits = make_retriever(config, store, embed_model, parse_filters([condition])).retrieve("row")
        return [hit.node.metadata for hit in sorted(hits, key=lambda hit: int(hit.node_id))]

    return run


PROPERTY = settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(sign=st.sampled_from(list(SIGNS)), value=st.sampled_from([*NUMBERS, 1, 2.25, 1e3]))
def test_numbers_compare_as_numbers(search: Callable[[str], list[dict[str, Any]]], sign: str, value: float) -> None:
    assert search(f"n{sign}{value}") == [{"n": number} for number in NUMBERS if SIGNS[sign](number, value)]


@PROPERTY
@given(sign=st.sampled_from(["=", "!="]), value=st.sampled_from([*TEXTS, "none"]))
def test_texts_are_equal_or_not(search: Callable[[str], list[dict[str, Any]]], sign: str, value: str) -> None:
    assert search(f"t {sign} {value}") == [{"t": text} for text in TEXTS if SIGNS[sign](text, value)]


@PROPERTY
@given(sign=st.sampled_from(list(SIGNS)), value=st.sampled_from([*DATES, date(2024, 1, 1)]))
def test_dates_are_whole_days(search: Callable[[str], list[dict[str, Any]]], sign: str, value: date) -> None:
    assert search(f"d{sign}{value}") == [{"d": str(day)} for day in DATES if SIGNS[sign](day, value)]
    expected = [f"{time.isoformat()}+00:00" for time in TIMES if SIGNS[sign](time.date(), value)]
    expected += [str(day) for day in DATES if SIGNS[sign](day, value)]
    assert [row["w"] for row in search(f"w{sign}{value}")] == expected


@PROPERTY
@given(sign=st.sampled_from(list(SIGNS)), value=st.sampled_from(TIMES), zone=st.sampled_from(["", "Z", "+02:00"]))
def test_times_are_whole_seconds_in_utc(
    search: Callable[[str], list[dict[str, Any]]], sign: str, value: datetime, zone: str
) -> None:
    shown = value + timedelta(hours=2) if zone == "+02:00" else value
    expected = [f"{time.isoformat()}+00:00" for time in TIMES if SIGNS[sign](time, value)]
    found = [row["w"] for row in search(f"w{sign}{shown.isoformat()}{zone}")]
    assert [one for one in found if "T" in one] == expected


def test_a_number_equals_the_text_that_it_is_written_as(search: Callable[[str], list[dict[str, Any]]]) -> None:
    assert search("t=10") == [{"t": "10"}]
    assert search("t!=10") == [{"t": text} for text in TEXTS if text != "10"]


def test_a_minute_is_sixty_seconds(search: Callable[[str], list[dict[str, Any]]]) -> None:
    assert [row["w"] for row in search("w=2024-01-31T09:30")] == ["2024-01-31T09:30:15+00:00"]
    assert search("w>2024-02-01T23:59") == []


def test_the_collections_own_fields_are_texts(search: Callable[[str], list[dict[str, Any]]]) -> None:
    assert search("id=3") == [{"n": NUMBERS[3]}]
    assert len(search("id!=3")) == len(list(rows())) - 1


@pytest.mark.parametrize(
    "pair", ["", "a", "a=", "=b", "a b=1", "größe>=1", "a!b", "a>=", "_node_content or id=1 or x=1"]
)
def test_what_is_no_condition_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="--filter"):
        parse_filters([pair])


@pytest.mark.parametrize(
    "block",
    [
        "---\ntitle: Tea\nauthor:  Sen  Rikyu\ndate: 1591-02-28\ntags: [tea]\n---\n",
        '+++\ntitle = "Tea"\nauthor = "Sen Rikyu"\ndate = 1591-02-28\n+++\n',
    ],
    ids=["yaml", "toml"],
)
def test_author_and_date_of_front_matter_can_be_named(block: str, lite: str) -> None:
    write(Path("docs"), {"tea.md": f"{block}Steep.", "other.md": "---\ndate: 2024-05-01\n---\nBoil."})
    config = RagConfig(uri=lite, embed_model="tiny")
    with Session(config, models=Models(HashingEmbedding(), IDENTITY, None)) as session:
        session.ingest(["docs"])
        conditions = ("author=Sen Rikyu", "date<1600-01-01", "date>=2024-05-01")
        found = [[row.source for row in session.search("tea", filters=[one]).dense] for one in conditions]
    assert found == [["docs/tea.md"], ["docs/tea.md"], ["docs/other.md"]]
