"""What a model may say to the agent tools, checked before anything is computed.

Clients differ in how they leave an argument out, and models in how they write lists: null is the same as nothing, and
a list or an object may come as a text with JSON in it. The schemas show neither: some clients stumble over unions.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, field_validator, model_validator
from pydantic.json_schema import WithJsonSchema

from qwen3_rag.errors import ConfigError
from qwen3_rag.query.filters import make_filters
from qwen3_rag.query.stages import Wishes

MAX_TOP_N = 20
MAX_EXCLUDED = 500
MAX_COUNT = 50

Detail = Literal["concise", "full"]
Query = Annotated[str, Field(description="The question, in plain words and in any language, as the user would ask it.")]
TopN = Annotated[
    Annotated[int, Field(ge=1, le=MAX_TOP_N)] | None,
    Field(description="How many passages to use. Usually left out."),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_TOP_N}),
]
Filters = Annotated[
    list[StrictStr] | dict[str, StrictStr | StrictInt | StrictFloat] | None,
    Field(
        description='Conditions on metadata that must all hold, such as ["source=docs/faq.md", "year>=2024"], with '
        "= != >= <= > <; describe_collection lists keys and values. Usually left out."
    ),
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]
Instruction = Annotated[
    str | None,
    Field(
        description="One English sentence saying what to look for, where it is not what answers the question, such as "
        "'Given a bug report, retrieve the changes that caused it'. Usually left out."
    ),
    WithJsonSchema({"type": "string"}),
]


def _plain(schema: dict[str, Any]) -> None:
    """Without what tells a model nothing, and without the default null, which has not the type that the schema says."""
    schema.pop("description", None)
    for one in schema.get("properties", {}).values():
        one.pop("title", None)
        if one.get("default", ...) is None:
            del one["default"]


class Arguments(BaseModel):
    """Base of all tools' arguments. `structured` names those that are lists or objects."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_plain)
    structured: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, given: Any) -> Any:
        """Without nulls, and with lists and objects that came as a text."""
        return {
            name: _parsed(value) if name in cls.structured else value
            for name, value in dict(given).items()
            if value is not None
        }


class ToolArguments(Arguments):
    """Arguments of `ask`, as the model sees them."""

    structured = frozenset({"filters"})
    query: Query
    top_n: TopN = None
    filters: Filters = None
    instruction: Instruction = None

    @field_validator("query")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the question is empty; give one of at least one word")
        return value

    @field_validator("filters")
    @classmethod
    def _conditions(cls, value: list[str] | dict[str, Any] | None) -> list[str] | dict[str, Any] | None:
        try:
            make_filters(value)
        except ConfigError as error:  # in the command line's words
            reason = str(error).removeprefix("--").partition("; see ")[0]
            raise ValueError(f"{reason}; describe_collection lists the keys") from None
        return value

    def wishes(self) -> Wishes:
        """What the question asks for. An empty instruction is none: a model that fills every argument means nothing."""
        return {"top_n": self.top_n, "filters": self.filters, "instruction": self.instruction or None}


class SearchArguments(ToolArguments):
    """Arguments of `search`, as the model sees them."""

    structured = frozenset({"filters", "exclude"})
    detail: Annotated[
        Detail, Field(description="concise: the beginning of each passage in one line, for an overview. Default: full.")
    ] = "full"
    rerank: Annotated[
        bool, Field(description="false: leave out the second stage, which is slower and better. Default: true.")
    ] = True
    exclude: Annotated[
        list[StrictStr],
        Field(
            max_length=MAX_EXCLUDED,
            description="Ids of passages that you have read already: others are found in their place.",
        ),
    ] = Field(default_factory=list)

    def wishes(self) -> Wishes:
        return {**super().wishes(), "rerank": self.rerank, "exclude": self.exclude}


def _parsed(value: Any) -> Any:
    """A text as the list or the object that is written in it, else as the only one of a list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return [value] if value.strip() else []
