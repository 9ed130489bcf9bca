"""One configuration for the library and the command line.

Sources, strongest first: arguments (command-line flags), environment variables `QWEN3_RAG_*`, one TOML file, defaults.
The TOML file is the first of: `--config` or `$QWEN3_RAG_CONFIG`, `./qwen3_rag.toml`,
`~/.config/qwen3-rag/config.toml`.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from qwen3_rag.errors import ConfigError

ENV_PREFIX = "QWEN3_RAG_"
MAX_TOP_K = 16_384
"""Milvus' own bound on the rows of one search."""

explicit_toml: ContextVar[Path | None] = ContextVar("qwen3_rag_toml", default=None)
"""The file given with `--config`; set by `load_config`."""

_SIZES = {"0.6b": "0.6B", "4b": "4B", "8b": "8B"}


def find_toml() -> Path | None:
    """The configuration file in use, or None. One that is named must exist."""
    named = explicit_toml.get() or os.environ.get(f"{ENV_PREFIX}CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(f"configuration file {str(path)!r} does not exist; create it or drop --config")
        return path
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return next((p for p in (Path("qwen3_rag.toml"), home / "qwen3-rag" / "config.toml") if p.is_file()), None)


def model_name(short: str, kind: Literal["Embedding", "Reranker"]) -> str:
    """The full name behind `0.6B`, `4B`, `8B`; any other name as it is.

    >>> model_name("0.6B", "Embedding")
    'Qwen/Qwen3-Embedding-0.6B'
    """
    size = _SIZES.get(short.lower())
    return f"Qwen/Qwen3-{kind}-{size}" if size else short


class RagConfig(BaseSettings):
    """Every setting, checked on construction.

    >>> RagConfig(embed_model="tiny", top_n=5).reranker_name
    'tiny'
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    uri: str = Field("./qwen3_rag.db", description="Milvus Lite path ending in .db, or http(s)://host:port.")
    collection: str = Field("docs", description="Collection name: letters, digits, underscores.")
    token: SecretStr | None = Field(None, description="Token of a Milvus server or of Zilliz Cloud.")

    embed_model: str = Field("0.6B", description="tiny, 0.6B, 4B, 8B, a local folder or a hub name.")
    rerank_model: str = Field("same", description="same (as --embed-model), none, or a name like --embed-model's.")
    embed_revision: str | None = Field(None, description="Hub revision of the embedding model.")
    rerank_revision: str | None = Field(None, description="Hub revision of the reranker.")
    cache_folder: str | None = Field(None, description="Folder for downloaded models.")
    device: str | None = Field(None, description="cpu, cuda, cuda:1, mps; chosen when not given.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Number format of weights.")
    dimensions: int | None = Field(None, ge=1, description="Vector dimension; the model's own when not given.")

    instruction: str | None = Field(None, description="Task in one English sentence, for both stages.")
    query_instruction: str | None = Field(None, description="The same for the embedding stage alone.")
    rerank_instruction: str | None = Field(None, description="The same for the reranking stage alone.")

    hybrid: bool = Field(False, description="Create the collection with a BM25 field beside the vectors.")
    chunk_size: int = Field(512, ge=32, le=8192, description="Largest passage, in tokens (about 4 letters each).")
    chunk_overlap: int = Field(48, ge=0, description="Tokens that two pieces of one long section share.")
    batch_size: int = Field(64, ge=1, le=1000, description="Passages embedded and written together.")

    mode: Literal["dense", "hybrid"] = Field("dense", description="First stage: vectors, or vectors and BM25.")
    top_k: int = Field(10, ge=1, le=MAX_TOP_K, description="Candidates of the first stage.")
    top_n: int = Field(3, ge=1, description="Passages kept after reranking.")

    llm: str = Field("gpt-4o", description="Language model for answers.")
    llm_base_url: str | None = Field(None, description="OpenAI-compatible endpoint, e.g. http://localhost:8000/v1.")
    llm_api_key: SecretStr | None = Field(None, description="Key of that endpoint; OPENAI_API_KEY when not given.")
    llm_timeout: float = Field(60.0, gt=0, le=3600, description="Seconds to wait for the language model.")
    system_prompt: str | None = Field(None, description="Replaces the system message of `ask`.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = find_toml()
        sources = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, path)) if path else sources

    @field_validator("uri")
    @classmethod
    def _check_uri(cls, value: str) -> str:
        if re.match(r"(?i)(https?|tcp|unix)://?", value) or value.endswith(".db"):
            return value
        raise ValueError(f"{value!r} must be a path ending in .db (Milvus Lite) or http(s)://host:port (a server)")

    @field_validator("collection")
    @classmethod
    def _check_collection(cls, value: str) -> str:
        if re.fullmatch(r"[A-Za-z_]\w{0,254}", value, re.ASCII):
            return value
        raise ValueError(f"{value!r} must be 1-255 letters, digits and underscores, not starting with a digit")

    @field_validator("embed_model", "rerank_model")
    @classmethod
    def _check_model(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("model name is empty; give tiny, 0.6B, 4B, 8B, a local folder or a hub name")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> RagConfig:
        if self.top_n > self.top_k:
            raise ValueError(
                f"top_n={self.top_n} is over top_k={self.top_k}: the second stage can only keep what the first one "
                "found; raise top_k or lower top_n"
            )
        if self.chunk_overlap >= self.chunk_size:
            raise ValueError(
                f"chunk_overlap={self.chunk_overlap} must be below chunk_size={self.chunk_size}; lower the overlap"
            )
        return self

    @property
    def is_lite(self) -> bool:
        """Milvus Lite: a local path, run inside this process."""
        return self.uri.endswith(".db") and "://" not in self.uri

    @property
    def embedder_name(self) -> str:
        return model_name(self.embed_model, "Embedding")

    @property
    def reranker_name(self) -> str | None:
        """Name or folder of the reranker, or None for `none`.

        `same` takes the counterpart of the embedding model: the same size on the hub, or the sibling folder of a local
        `.../embedding`.
        """
        if self.rerank_model == "none":
            return None
        if self.rerank_model != "same":
            return model_name(self.rerank_model, "Reranker")
        embedder = self.embedder_name
        if embedder == "tiny":  # a name, also where a folder called so is at hand
            return embedder
        path = Path(embedder).expanduser()
        if not path.is_dir():
            if "Embedding" in embedder:
                return embedder.replace("Embedding", "Reranker")
        else:
            other = re.sub("(?i)embedding", lambda m: "Reranker" if m[0][0] == "E" else "reranker", path.name)
            if other != path.name and (path.parent / other).is_dir():
                return str(path.parent / other)
        raise ConfigError(
            f"rerank_model 'same' has no counterpart for embed_model {self.embed_model!r}; "
            "name one with --rerank-model, or use --rerank-model none"
        )


def load_config(overrides: dict[str, Any] | None = None, file: str | Path | None = None) -> RagConfig:
    """RagConfig from all sources, with every problem reported as one `ConfigError`. `file` names the TOML file.

    >>> load_config({"top_k": 5}).top_k
    5
    """
    if file is not None:
        explicit_toml.set(Path(file))
    try:
        return RagConfig(**(overrides or {}))
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(e) for e in error.errors(include_url=False))) from None
    except ValueError as error:  # a TOML file that does not parse
        raise ConfigError(f"configuration file {str(find_toml())!r}: {error}") from None


def _explain(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{name!r} is not a setting; `qwen3-rag info` lists them"
    if error["type"] == "value_error":
        return f"{name}: {message}" if name else message
    value = "a secret" if name in ("token", "llm_api_key") else repr(error["input"])
    return f"{name}={value}: {message[0].lower()}{message[1:]}"
