"""The settings that say where the passages are."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator

from qwen3_rag.config_file import Option

MAX_ABOUT = 500
"""Letters of a collection's description."""


class DatabaseSettings(BaseModel):
    """A part of `RagConfig`."""

    uri: Annotated[str, Option("PATH.db|URL", "all")] = Field(
        "./qwen3_rag.db", description="Milvus Lite database ending in .db, or http(s)://host:port of a server."
    )
    collection: Annotated[str, Option("NAME", "all")] = Field(
        "docs", description="Collection in it: letters, digits, underscores."
    )
    collections: Annotated[dict[str, str], Option(trusted=True)] = Field(
        default_factory=dict,
        description="Collections to serve together, each with a sentence for agents on what it is about.",
    )
    token: Annotated[SecretStr | None, Option("TOKEN", "all")] = Field(
        None, description="Token of a server or of Zilliz Cloud; better given as QWEN3_RAG_TOKEN."
    )

    @field_validator("uri")
    @classmethod
    def _check_uri(cls, value: str) -> str:
        if re.match(r"(?i)(https?|tcp|unix)://?", value):
            return value
        if value.endswith(".db"):
            return os.path.expanduser(value)
        raise ValueError(f"{value!r} must be a path ending in .db (Milvus Lite) or http(s)://host:port (a server)")

    @field_validator("collection")
    @classmethod
    def _check_collection(cls, value: str) -> str:
        if re.fullmatch(r"[A-Za-z_]\w{0,254}", value, re.ASCII):
            return value
        raise ValueError(f"{value!r} must be 1-255 letters, digits and underscores, not starting with a digit")

    @field_validator("collections")
    @classmethod
    def _check_collections(cls, value: dict[str, str]) -> dict[str, str]:
        for name, about in value.items():
            cls._check_collection(name)
            if len(about) > MAX_ABOUT:
                raise ValueError(
                    f"{name!r} is described in {len(about)} letters; agents read them with every tool: "
                    f"say it in {MAX_ABOUT}"
                )
        return value

    @property
    def is_lite(self) -> bool:
        """Milvus Lite: a local path, run inside this process."""
        return self.uri.endswith(".db") and "://" not in self.uri
