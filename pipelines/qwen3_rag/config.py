"""One configuration for the library and the command line.

Sources, strongest first: arguments (command-line flags), environment variables `QWEN3_RAG_*`, one TOML file, defaults.
The TOML file is the first of: `--config` or `$QWEN3_RAG_CONFIG`, `./qwen3_rag.toml` (which may set less: see
`config_file`), `~/.config/qwen3-rag/config.toml`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from qwen3_rag.config_file import Option, TomlFile, explicit_toml, find_toml, is_secret
from qwen3_rag.errors import ConfigError, describe_invalid

ENV_PREFIX = "QWEN3_RAG_"
MAX_TOP_K = 16_384
"""Milvus' own bound on the rows of one search."""

_SIZES = {"0.6b": "0.6B", "4b": "4B", "8b": "8B"}


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

    uri: Annotated[str, Option("PATH.db|URL", "all")] = Field(
        "./qwen3_rag.db", description="Milvus Lite database ending in .db, or http(s)://host:port of a server."
    )
    collection: Annotated[str, Option("NAME", "all")] = Field(
        "docs", description="Collection in it: letters, digits, underscores."
    )
    token: Annotated[SecretStr | None, Option("TOKEN", "all")] = Field(
        None, description="Token of a server or of Zilliz Cloud; better given as QWEN3_RAG_TOKEN."
    )
    embed_model: Annotated[str, Option("MODEL", "all")] = Field(
        "0.6B", description="tiny (bundled, offline), 0.6B, 4B, 8B, a folder or a hub name."
    )
    rerank_model: Annotated[str, Option("MODEL", "all")] = Field(
        "same", description="same (as --embed-model), none, or a name like --embed-model's."
    )
    instruction: Annotated[str | None, Option("TEXT", "all", text=True)] = Field(
        None, description="The task in one English sentence, for both stages."
    )
    query_instruction: Annotated[str | None, Option("TEXT", "all", text=True)] = Field(
        None, description="The same for the embedding stage alone."
    )
    rerank_instruction: Annotated[str | None, Option("TEXT", "all", text=True)] = Field(
        None, description="The same for the reranking stage alone."
    )
    dimensions: Annotated[int | None, Option("N", "all", unset="the model's own")] = Field(
        None, ge=1, description="Length of the vectors."
    )
    device: Annotated[str | None, Option("DEVICE", "all", unset="chosen")] = Field(
        None, description="cpu, cuda, cuda:1, mps."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Number format of weights.")
    embed_revision: str | None = Field(None, description="Hub revision of the embedding model.")
    rerank_revision: str | None = Field(None, description="Hub revision of the reranker.")
    cache_folder: Annotated[str | None, Option(trusted=True)] = Field(None, description="Folder for downloaded models.")

    hybrid: Annotated[bool, Option(group="ingest")] = Field(
        False, description="Add a BM25 field beside the vectors, for --mode hybrid."
    )
    chunk_size: Annotated[int, Option("N", "ingest")] = Field(
        512, ge=32, le=8192, description="Largest passage, in tokens of about 4 letters."
    )
    chunk_overlap: int = Field(48, ge=0, description="Tokens that two pieces of one long section share.")
    batch_size: Annotated[int, Option("N", "ingest")] = Field(
        64, ge=1, le=1000, description="Passages embedded and written together."
    )

    top_k: Annotated[int, Option("N", "stages")] = Field(
        10, ge=1, le=MAX_TOP_K, description="Candidates of the first stage."
    )
    top_n: Annotated[int, Option("N", "stages")] = Field(3, ge=1, description="Passages kept after reranking.")
    mode: Annotated[Literal["dense", "hybrid"], Option(group="stages")] = Field(
        "dense", description="First stage: vectors, or vectors and BM25."
    )

    llm: Annotated[str, Option("NAME", "llm")] = Field("gpt-4o", description="Language model for answers.")
    llm_base_url: Annotated[str | None, Option("URL", "llm", unset="OpenAI", trusted=True)] = Field(
        None, description="OpenAI-compatible endpoint, such as http://localhost:8000/v1."
    )
    llm_api_key: SecretStr | None = Field(None, description="Key of that endpoint; OPENAI_API_KEY when not given.")
    llm_timeout: Annotated[float, Option("SECONDS", "llm")] = Field(
        60.0, gt=0, le=3600, description="How long to wait for the language model."
    )
    system_prompt: Annotated[str | None, Option(text=True, trusted=True)] = Field(
        None, description="Replaces the system message of `ask`."
    )

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
        return (*sources, TomlFile(settings_cls, path)) if path else sources

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
    named = explicit_toml.set(Path(file) if file is not None else explicit_toml.get())
    try:
        return RagConfig(**(overrides or {}))
    except ValidationError as error:
        what = "a setting; `qwen3-rag info` lists them"
        details = error.errors(include_url=False)
        raise ConfigError("; ".join(describe_invalid(one, what, secret_settings()) for one in details)) from None
    except ConfigError:
        raise
    except ValueError as error:  # a TOML file that does not parse
        raise ConfigError(f"configuration file {str(find_toml())!r}: {error}") from None
    finally:
        explicit_toml.reset(named)


def secret_settings() -> set[str]:
    """The settings whose values are never shown."""
    return {name for name, field in RagConfig.model_fields.items() if is_secret(field)}


def shown_settings(config: RagConfig) -> dict[str, Any]:
    """Every setting in effect; of secrets only whether they are set."""
    shown: dict[str, Any] = {}
    for name, value in config:
        shown[name] = ("set" if value.get_secret_value() else None) if isinstance(value, SecretStr) else value
    return shown
