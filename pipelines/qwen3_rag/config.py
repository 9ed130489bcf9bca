"""One configuration for the library and the command line.

Sources, strongest first: arguments (command-line flags), environment variables `QWEN3_RAG_*`, one TOML file, defaults.
The TOML file is the first of: `--config` or `$QWEN3_RAG_CONFIG`, `./qwen3_rag.toml` (which may set less: see
`config_file`), `~/.config/qwen3-rag/config.toml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from qwen3_rag.config_database import DatabaseSettings
from qwen3_rag.config_file import Option, TomlFile, explicit_toml, find_toml, is_secret
from qwen3_rag.config_models import ModelSettings
from qwen3_rag.errors import ConfigError, describe_invalid

ENV_PREFIX = "QWEN3_RAG_"
MAX_TOP_K = 16_384
"""Milvus' own bound on the rows of one search."""


class RagConfig(ModelSettings, DatabaseSettings, BaseSettings):
    """Every setting, checked on construction.

    >>> RagConfig(embed_model="tiny", top_n=5).reranker_name
    'tiny'
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    hybrid: Annotated[bool, Option(group="ingest")] = Field(
        False, description="Add a BM25 field beside the vectors, for --mode hybrid."
    )
    chunk_size: Annotated[int, Option("N", "ingest")] = Field(
        512, ge=32, le=8192, description="Largest passage, in tokens of about 4 letters."
    )
    chunk_overlap: int = Field(48, ge=0, description="Tokens that two pieces of one long section share.")
    batch_size: Annotated[int | None, Option("N", "ingest", unset="64; 256 with --embed-url")] = Field(
        None, ge=1, le=1000, description="Passages embedded and written together."
    )

    top_k: Annotated[int, Option("N", "stages")] = Field(
        10, ge=1, le=MAX_TOP_K, description="Candidates of the first stage."
    )
    top_n: Annotated[int, Option("N", "stages")] = Field(3, ge=1, description="Passages kept after reranking.")
    mode: Annotated[Literal["dense", "hybrid"], Option(group="stages")] = Field(
        "dense", description="First stage: vectors, or vectors and BM25."
    )

    server: Annotated[str | None, Option("URL", "service", unset="found by itself", trusted=True)] = Field(
        None, description="Ask this service (`qwen3-rag serve`); none: open the database here."
    )
    api_token: SecretStr | None = Field(None, description="What a service wants of its callers, and this one too.")

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

    @property
    def passages_at_once(self) -> int:
        """`batch_size`, or what keeps the embedding model busy: a server computes several requests at once."""
        return self.batch_size or (256 if self.embed_url else 64)

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

    def __setstate__(self, state: dict[Any, Any]) -> None:
        from qwen3_inference.moved import fill_fields

        super().__setstate__(state)
        fill_fields(self)

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
    except SettingsError as error:  # of an environment variable
        raise ConfigError(f'{error}: it takes JSON, such as QWEN3_RAG_COLLECTIONS=\'{{"docs": "..."}}\'') from None
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
