"""Conditions on metadata, from the command line, a program or a model, as LlamaIndex filters.

How they compare: what is written as a number with numbers, what is written as a date or a time in ISO with dates and
times, anything else as text. A date stands for its whole day, a time for its whole minute or second. Milvus keeps dates
as texts; in one time zone (files' `modified` is in UTC) they are in order as texts. As in SQL, no condition holds for a
passage that has no such key, `!=` included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from qwen3_rag.documents.metadata import as_number, is_key
from qwen3_rag.errors import ConfigError
from qwen3_rag.query.conditions import read_condition
from qwen3_rag.store.literals import escaped

FilterValue = str | int | float
Filters = Mapping[str, FilterValue] | Sequence[str] | str | MetadataFilters | None
"""Values by key, texts such as `key=value` or `year>=2024`, or LlamaIndex's own filters; all of them must hold."""

_Condition = MetadataFilter | MetadataFilters
_TEXT_KEYS = frozenset({"id", "doc_id", "text"})
"""Fields of the collection: Milvus compares them with texts alone."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(?P<second>:\d\d)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_MIRRORED = {FilterOperator.EQ: FilterCondition.OR, FilterOperator.NE: FilterCondition.AND}


def make_filters(wanted: Filters) -> MetadataFilters | None:
    """Any form of filters as LlamaIndex's; None when there are none.

    Raises:
        ConfigError: a key is not letters, digits and underscores of ASCII, or a text is no condition.

    >>> make_filters({"source": "faq.md"}).filters[0].value
    'faq.md'
    """
    if isinstance(wanted, MetadataFilters):
        return wanted
    if not isinstance(wanted, Mapping):
        return parse_filters([wanted] if isinstance(wanted, str) else wanted or ())
    for key in wanted:
        if not is_key(key):
            raise ConfigError(f"{key!r} is no metadata key; keys are letters, digits and underscores")
    return _all_of([_filter(key, FilterOperator.EQ, value) for key, value in wanted.items()])


def parse_filters(pairs: Sequence[str]) -> MetadataFilters | None:
    """Conditions, all of which must hold: a key, one of `= != >= <= > <`, a value.

    >>> parse_filters(["source=faq.md", "year>=2024"]).filters[1].value
    2024
    """
    return _all_of([_condition(pair) for pair in pairs])


def _condition(pair: str) -> _Condition:
    key, sign, value = read_condition(pair)
    operator = FilterOperator("==" if sign == "=" else sign)
    if key in _TEXT_KEYS:
        return _filter(key, operator, value)
    if (number := as_number(value)) is not None:
        return _number(key, operator, value, number)
    if span := _span(value):
        return _time(key, operator, *span)
    return _filter(key, operator, value)


def _number(key: str, operator: FilterOperator, value: str, number: int | float) -> _Condition:
    """Compared as a number; equal may also be the text of it, which is how some readers write numbers."""
    if operator not in _MIRRORED:
        return _filter(key, operator, number)
    both: list[_Condition] = [_filter(key, operator, number), _filter(key, operator, value)]
    return MetadataFilters(filters=both, condition=_MIRRORED[operator])


def _time(key: str, operator: FilterOperator, start: str, end: str) -> _Condition:
    """Compared with the span of time from `start` up to `end`, both of them beginnings of ISO texts."""
    match operator:
        case FilterOperator.GTE | FilterOperator.LT:
            return _filter(key, operator, start)
        case FilterOperator.GT:
            return _filter(key, FilterOperator.GTE, end)
        case FilterOperator.LTE:
            return _filter(key, FilterOperator.LT, end)
        case _:
            return _on(key, operator, start, end)


def _on(key: str, operator: FilterOperator, start: str, end: str) -> _Condition:
    """(Not) within the span. Of a date these are the date itself and times that begin with it, not any longer text."""
    is_date = "T" not in start
    low, high = (f"{start}T", f"{start}U") if is_date else (start, end)
    if operator is FilterOperator.EQ:
        within = MetadataFilters(
            filters=[_filter(key, FilterOperator.GTE, low), _filter(key, FilterOperator.LT, high)],
        )
        whole: list[_Condition] = [_filter(key, operator, start), within]
        return MetadataFilters(filters=whole, condition=FilterCondition.OR) if is_date else within
    outside = MetadataFilters(
        filters=[_filter(key, FilterOperator.LT, low), _filter(key, FilterOperator.GTE, high)],
        condition=FilterCondition.OR,
    )
    return MetadataFilters(filters=[_filter(key, operator, start), outside]) if is_date else outside


def _span(value: str) -> tuple[str, str] | None:
    """The beginnings of the ISO texts between which a date or time lies; None for any other text.

    >>> _span("2024-02-29"), _span("2024-01-31T23:59"), _span("2024-13-01")
    (('2024-02-29', '2024-03-01'), ('2024-01-31T23:59', '2024-02-01T00:00'), None)
    """
    found = _TIME.fullmatch(value)
    if not found:
        return None
    try:
        start = datetime.fromisoformat(value)
        start = start.astimezone(UTC) if found["zone"] else start
        step = timedelta(seconds=1) if found["second"] else timedelta(minutes=1) if found["time"] else timedelta(days=1)
        end = start + step
    except (ValueError, OverflowError):  # no such day, or the last one there is
        return None
    unit = "%Y-%m-%dT%H:%M:%S" if found["second"] else "%Y-%m-%dT%H:%M" if found["time"] else "%Y-%m-%d"
    return f"{start:{unit}}", f"{end:{unit}}"


def _filter(key: str, operator: FilterOperator, value: FilterValue) -> MetadataFilter:
    # MilvusVectorStore quotes a text and escapes nothing but its quotes.
    text = escaped(value) if isinstance(value, str) else value
    return MetadataFilter(key=key, value=text, operator=operator)


def _all_of(filters: Sequence[_Condition]) -> MetadataFilters | None:
    return MetadataFilters(filters=list(filters)) if filters else None
