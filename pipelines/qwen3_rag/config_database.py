"""The settings that say where the passages are."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator

from qwen3_rag.config_file import Option


class DatabaseSettings(BaseModel):
    """A part of `RagConfig`."""

    uri: Annotated[str, Option("PATH.db|URL", "all")] = Field(
        "./qwen3_rag.db", description="Milvus Lite database ending in .db, or http(s)://host:port of a server."
    )
    collection: Annotated[str, Option("NAME", "all")] = Field(
        "docs", description="Collection in it: letters, digits, underscores."
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

    @property
    def is_lite(self) -> bool:
        """Milvus Lite: a local path, run inside this process."""
        return self.uri.endswith(".db") and "://" not in self.uri
