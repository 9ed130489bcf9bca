"""A session with a scope: whatever is asked, in whatever words, nothing outside it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
from pymilvus.exceptions import MilvusException
from qwen3_rag import ConfigError, Models, RagConfig, Session
from qwen3_rag.agents.tools import SERVER_TOOLS, tools_of
from qwen3_rag.store.paging import read_pages
from qwen3_rag.store.scope import ScopedClient, whole
from support.hashing import IDENTITY, HashingEmbedding
from support.seeds import examples

from .conftest import OpenStore

MODELS = Models(HashingEmbedding(), IDENTITY, None)
OURS, THEIRS = "red", "blue"
SECRET = "hidden"
CRAFTED = [
    f"' or team == '{THEIRS}",
    f'" or team == "{THEIRS}',
    f"x') or (team == '{THEIRS}",
    f"x\\') or (team == '{THEIRS}') or (text != '",
    "\\",
    "x\\\\' or 1 == 1 or '1' == '1",
    f"{THEIRS}' or id != '",
    "') or ('' == '",
    "%",
    "\u2019 or 1=1 \u2018",
    "a\nor\n1==1",
    f"{SECRET}.md",
    "blue/",
    "0",
]


@pytest.fixture
def full(config: RagConfig, store_of: OpenStore) -> Session:
    """A collection with passages of two teams, also within one document, open to be read in full."""
    store = store_of(hybrid=True)
    nodes = [
        TextNode(
            text=f"{team} passage {index}", metadata={"team": team, "source": source, "position": index, "n": index}
        )
        for team, source in ((OURS, "red.md"), (THEIRS, f"{SECRET}.md"), (OURS, "both.md"), (THEIRS, "both.md"))
        for index in range(3)
    ]
    for node in nodes:
        node.embedding = MODELS.embed.get_text_embedding(node.text)
        node.relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=node.metadata["source"])}
    store.add(list(nodes))
    return Session(config.model_copy(update={"top_k": 50, "top_n": 50}), store, MODELS)


@pytest.fixture
def session(full: Session) -> Session:
    return Session(full.config, full._given, MODELS, scope=[f"team={OURS}"])


def teams(texts: list[str]) -> set[str]:
    return {text.split()[0] for text in texts}


def test_every_way_of_reading_knows_the_scope(session: Session, full: Session) -> None:
    for mode in ("dense", "hybrid"):
        assert teams([row.text for row in full.search("passage", mode=mode).dense]) == {OURS, THEIRS}
        found = session.search("passage", mode=mode).dense
        assert (len(found), teams([row.text for row in found])) == (6, {OURS})
    assert full.sources() == {"red.md": 3, f"{SECRET}.md": 3, "both.md": 6}
    assert session.sources() == {"red.md": 3, "both.md": 3}
    assert session.sources("hid") == {}
    assert session.show("both.md").total == 3
    assert teams([one.text for one in session.show("both.md").passages]) == {OURS}
    assert (full.store.count(), session.store.count()) == (12, 6)
    everything = [
        row["id"] for page in read_pages(full.store.client, full.store.collection_name, ["id"]) for row in page
    ]
    assert (len(full.store.held(everything)), len(session.store.held(everything))) == (12, 6)
    assert len(session.store.get_nodes(everything)) == 6


def test_what_is_outside_is_not_there_and_not_hinted_at(session: Session) -> None:
    for name in (f"{SECRET}.md", f"{SECRET[:-1]}.md", "nothing.md"):
        with pytest.raises(ConfigError) as raised:
            session.show(name)
        assert SECRET not in str(raised.value).replace(repr(name), "")


def test_a_scope_is_for_reading(session: Session) -> None:
    store = session.store
    assert isinstance(store.client, ScopedClient)
    for write in (lambda: store.delete("red.md"), lambda: store.add([]) or store.clear()):
        with pytest.raises(AttributeError, match="can be read, and no more"):
            write()
    for other in (f"{store.collection_name}__catalog", "another"):
        assert not store.client.has_collection(other)
        with pytest.raises(ConfigError, match="outside of the scope"):
            store.client.query(other)
    assert store.count() == 6


VALUES = st.one_of(st.sampled_from(CRAFTED), st.text(max_size=12), st.integers(-5, 5), st.floats(allow_nan=False))
KEYS = st.sampled_from(["team", "source", "n", "id", "text", "doc_id", "nothing", "not", "true"])
PAIRS = st.lists(
    st.builds("{}{}{}".format, KEYS, st.sampled_from(["=", "!=", ">=", "<=", ">", "<"]), VALUES), min_size=1, max_size=3
)
LEAF = st.builds(
    MetadataFilter,
    key=KEYS,
    value=st.one_of(VALUES, st.lists(st.text(max_size=3), max_size=2)),
    operator=st.sampled_from(list(FilterOperator)),
)
TREES = st.recursive(
    st.builds(MetadataFilters, filters=st.lists(LEAF, max_size=2), condition=st.sampled_from(list(FilterCondition))),
    lambda inner: st.builds(
        MetadataFilters, filters=st.lists(st.one_of(LEAF, inner), max_size=2),
        condition=st.sampled_from([FilterCondition.AND, FilterCondition.OR]),
    ),
    max_leaves=3,
)  # fmt: skip
PROPERTY = settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(
    filters=st.one_of(PAIRS, st.dictionaries(KEYS, VALUES, max_size=2), TREES),
    mode=st.sampled_from(["dense", "hybrid"]),
)
@example(filters={"team": THEIRS}, mode="dense")
@example(filters=[f"team={THEIRS}"], mode="hybrid")
@example(filters=[f"team!={OURS}"], mode="dense")
def test_no_filter_reads_outside(session: Session, filters: Any, mode: Any) -> None:
    try:
        found = session.search("passage", filters=filters, mode=mode)
    except (ConfigError, MilvusException, ValueError):
        return  # refused
    assert teams([row.text for row in found.dense]) <= {OURS}


@PROPERTY
@given(name=st.one_of(st.sampled_from(CRAFTED), st.text(max_size=12)), start=st.integers(0, 4))
def test_no_name_reads_outside(session: Session, name: str, start: int) -> None:
    try:
        passages = session.show(name, start).passages
    except (ConfigError, MilvusException):
        passages = []
    assert teams([one.text for one in passages]) <= {OURS}
    assert set(session.sources(name)) <= {"red.md", "both.md"}


ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "query": st.one_of(st.sampled_from(CRAFTED), st.text(max_size=9), st.none()),
        "filters": st.one_of(
            st.none(), st.dictionaries(st.one_of(KEYS, st.text(max_size=5)), VALUES, max_size=2),
            st.dictionaries(KEYS, VALUES, max_size=2).map(json.dumps), st.sampled_from(CRAFTED),
        ),
        "top_n": st.integers(-1, 30),
        "prefix": st.sampled_from(CRAFTED),
        "limit": st.integers(-1, 30),
        "scope": VALUES,
        "source": st.sampled_from([*CRAFTED, "both.md", f"{SECRET}.md"]),
        "from": st.integers(-1, 7),
        "count": st.integers(0, 60),
        "exclude": st.lists(st.sampled_from(CRAFTED), max_size=2),
        "detail": st.sampled_from(["concise", "full"]),
        "rerank": st.booleans(),
    },
)  # fmt: skip


@PROPERTY
@given(arguments=ARGUMENTS)
@example(arguments={"query": "passage", "filters": {"team": THEIRS}})
@example(arguments={"prefix": "hid"})
@example(arguments={"source": f"{SECRET}.md", "from": 0, "count": 50})
def test_no_argument_of_a_tool_reads_outside(session: Session, arguments: dict[str, Any]) -> None:
    said = ""
    for tool in tools_of(session, SERVER_TOOLS):
        if tool.name == "ask":
            continue  # it reads as `search` does, and asks a language model
        known = tool.arguments.model_json_schema()["properties"] if tool.arguments.model_fields else {}
        needed = {name: value for name, value in (("query", "passage"), ("source", "both.md")) if name in known}
        result = tool.call(**needed | {name: value for name, value in arguments.items() if name in known})
        said += result.model_dump_json() + str(result)
    assert f"{THEIRS} passage" not in said
    for shown in (f'"source":"{SECRET}', f'"{SECRET}.md"', f"{SECRET}.md ("):
        assert shown not in said
    assert f'"{THEIRS}"' not in said, "a value of a filter that nothing in the scope has"


@given(st.text(alphabet="ab'\"\\()[]{} =", max_size=14))
def test_what_is_put_into_brackets_cannot_leave_them(text: str) -> None:
    """Against the real lexer of Milvus Lite: the bracket before the condition is closed by the one behind it alone."""
    from milvus_lite.search.filter.exceptions import FilterParseError
    from milvus_lite.search.filter.tokens import TokenKind, tokenize

    try:
        kinds = [token.kind for token in tokenize(f"({whole(text)})")]
    except (ConfigError, FilterParseError):
        return
    depth, closed = 0, []
    for place, kind in enumerate(kinds):
        depth += (kind is TokenKind.LPAREN) - (kind is TokenKind.RPAREN)
        if depth == 0:
            closed.append(place)
    assert closed[0] == len(kinds) - 2, "the first bracket closes before the end"


@PROPERTY
@given(text=st.text(max_size=12))
@example(text="say \"x\" \\ or 'y'\n\r\t\x1f é 日")
def test_a_text_in_a_condition_is_that_text(full: Session, text: str) -> None:
    from qwen3_rag.store.literals import literal

    store = full.store
    found = store.client.query(
        store.collection_name, f"id == {literal(text)} or team == '{OURS}'", output_fields=["id"]
    )
    assert len(found) == 6
