"""What a model may say to the agent tools, checked before anything is computed."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, field_validator

from qwen3_rag.documents.metadata import is_key
from qwen3_rag.query.stages import Wishes

MAX_TOP_N = 20


Query = Annotated[str, Field(description="The question, in plain words and in any language, as the user would ask it.")]
TopN = Annotated[int | None, Field(ge=1, le=MAX_TOP_N, description="How many passages to use. Usually left out.")]
Filters = Annotated[
    dict[str, StrictStr | StrictInt | StrictFloat] | None,
    Field(
        description='Use only passages whose metadata has these values, such as {"source": "docs/faq.md"}. '
        "Usually left out."
    ),
]
Instruction = Annotated[
    str | None,
    Field(
        description="One English sentence saying what to look for, where it is not what answers the question, such as "
        "'Given a bug report, retrieve the changes that caused it'. Usually left out."
    ),
]


class ToolArguments(BaseModel):
    """Arguments of `search` and `ask`, as the model sees them."""

    model_config = ConfigDict(extra="forbid")

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

    @field_validator("filters", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        """Some models write an object as a string with JSON in it."""
        if isinstance(value, str) and value.lstrip().startswith("{"):
            return json.loads(value)
        return value

    @field_validator("filters")
    @classmethod
    def _keys(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for key in value or {}:
            if not is_key(key):
                raise ValueError(f"{key!r} is no metadata key; keys are letters, digits and underscores")
        return value

    def wishes(self) -> Wishes:
        """What the question asks for. An empty instruction is none: a model that fills every argument means nothing."""
        return {"top_n": self.top_n, "filters": self.filters, "instruction": self.instruction or None}
