"""The settings that say which two models are used, and whether they run here or on servers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator, model_validator

from qwen3_rag.config_file import Option
from qwen3_rag.errors import ConfigError

Stage = Literal["embed", "rerank"]
Send = Literal["auto", "text", "tokens"]
Prompt = Literal["tokens", "client", "server"]

ONLY_SERVED: dict[Stage, tuple[str, ...]] = {
    "embed": ("embed_dialect", "embed_send", "embed_tokenizer"),
    "rerank": ("rerank_dialect", "rerank_prompt", "rerank_tokenizer"),
}
"""Settings that mean nothing for a model that runs here. A key may lie in the environment all the same."""

_KEYS = "as QWEN3_RAG_EMBED_API_KEY or QWEN3_RAG_RERANK_API_KEY"
_SIZES = {"0.6b": "0.6B", "4b": "4B", "8b": "8B"}


def model_name(short: str, kind: Literal["Embedding", "Reranker"]) -> str:
    """The full name behind `0.6B`, `4B`, `8B`; any other name as it is.

    >>> model_name("0.6B", "Embedding")
    'Qwen/Qwen3-Embedding-0.6B'
    """
    size = _SIZES.get(short.lower())
    return f"Qwen/Qwen3-{kind}-{size}" if size else short


def dialects(stage: Stage) -> tuple[str, ...]:
    """The names of the engines' tables, which are loaded only where a server is meant."""
    if stage == "embed":
        from qwen3_inference.remote.embedding_dialects import EMBEDDING_DIALECTS

        return tuple(EMBEDDING_DIALECTS)
    from qwen3_inference.remote.rerank_dialects import RERANK_DIALECTS

    return tuple(RERANK_DIALECTS)


class ModelSettings(BaseModel):
    """A part of `RagConfig`."""

    embed_model: Annotated[str, Option("MODEL", "all")] = Field(
        "0.6B",
        description="tiny (bundled, offline), 0.6B, 4B, 8B, a folder or a hub name; with --embed-url what the server "
        "calls it.",
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
    rerank_context: Literal["headings", "none"] = Field(
        "headings", description="What the reranker reads before a passage: its title and headings, or none."
    )
    dimensions: Annotated[int | None, Option("N", "all", unset="the model's own")] = Field(
        None, ge=1, description="Length of the vectors."
    )
    device: Annotated[str | None, Option("DEVICE", "all", unset="chosen")] = Field(
        None, description="cpu, cuda, cuda:1, mps."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Number format of weights.")
    max_batch_tokens: Annotated[int | None, Option("N", "all", unset="2048")] = Field(
        None, ge=1, description="Tokens computed at once by a model that runs here; try 16384 on a GPU."
    )
    embed_revision: str | None = Field(None, description="Hub revision of the embedding model.")
    rerank_revision: str | None = Field(None, description="Hub revision of the reranker.")
    cache_folder: Annotated[str | None, Option(trusted=True)] = Field(None, description="Folder for downloaded models.")

    embed_url: Annotated[str | None, Option("URL", "servers", unset="the model runs here", trusted=True)] = Field(
        None,
        description="Server of the embedding model, such as http://localhost:8000/v1. Key: QWEN3_RAG_EMBED_API_KEY.",
    )
    embed_dialect: Annotated[str | None, Option("DIALECT", "servers", unset="openai")] = Field(
        None,
        description="What it speaks: openai (vLLM, SGLang, llama.cpp, Infinity, hosted ones), tei, ollama, qwen3-rag.",
    )
    embed_send: Annotated[Send | None, Option(group="servers", unset="auto")] = Field(
        None, description="Texts or token ids; auto: ids where the server takes them as they are."
    )
    embed_tokenizer: Annotated[str | None, Option("TOKENIZER", "servers", unset="--embed-model's")] = Field(
        None, description="Folder or hub name of the model's tokenizer, where the server calls the model otherwise."
    )
    embed_api_key: SecretStr | None = Field(None, description="Key of the embedding model's server.")
    rerank_url: Annotated[str | None, Option("URL", "servers", unset="the model runs here", trusted=True)] = Field(
        None, description="Server of the reranker, such as http://localhost:8001. Key: QWEN3_RAG_RERANK_API_KEY."
    )
    rerank_dialect: Annotated[str | None, Option("DIALECT", "servers")] = Field(
        None,
        description="What it speaks, such as vllm or tei; needed with --rerank-url, and told where it is missing.",
    )
    rerank_prompt: Annotated[Prompt | None, Option(group="servers", unset="the dialect's, where it has one alone")] = (
        Field(None, description="Who writes the reranker's prompt: this side as token ids, as text, or the server.")
    )
    rerank_tokenizer: Annotated[str | None, Option("TOKENIZER", "servers", unset="--rerank-model's")] = Field(
        None, description="The same as --embed-tokenizer for the reranker."
    )
    rerank_api_key: SecretStr | None = Field(None, description="Key of the reranker's server.")
    server_timeout: float = Field(
        60.0, gt=0, le=3600, description="Seconds that a request to a model server may take with its retries."
    )

    @field_validator("embed_model", "rerank_model")
    @classmethod
    def _check_model(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("model name is empty; give tiny, 0.6B, 4B, 8B, a local folder or a hub name")
        return value

    @field_validator("embed_url", "rerank_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None  # without the import, for which every command would wait
        from qwen3_inference.remote.address import check_base_url

        try:
            return check_base_url(value)
        except ValueError as error:
            raise ValueError(str(error).removeprefix("base_url").lstrip("=").replace("as api_key", _KEYS)) from None

    @field_validator("embed_dialect", "rerank_dialect")
    @classmethod
    def _check_dialect(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value not in (
            known := dialects("embed" if "embed" in str(info.field_name) else "rerank")
        ):
            raise ValueError(f"{value!r} must be one of {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _check_servers(self) -> ModelSettings:
        for stage, names in ONLY_SERVED.items():
            if getattr(self, f"{stage}_url") is not None:
                if getattr(self, f"{stage}_revision") is not None:
                    raise ValueError(
                        f"{stage}_revision is for a model that runs here, and {stage}_url names a server, which has "
                        "one revision; leave one of them out"
                    )
            elif given := [name for name in names if getattr(self, name) is not None]:
                raise ValueError(
                    f"{given[0]}={getattr(self, given[0])!r} is for a model on a server; give its address with "
                    f"--{stage}-url, or leave {given[0]} out"
                )
        if self.rerank_url is not None and self.rerank_dialect is None:
            raise ValueError(
                "rerank_url needs to know what that server speaks: give --rerank-dialect "
                f"{', '.join(dialects('rerank'))}"
            )
        return self

    @property
    def embedder_name(self) -> str:
        """Name or folder of the embedding model; with `embed_url` the server's name for it."""
        return model_name(self.embed_model, "Embedding")

    @property
    def reranker_name(self) -> str | None:
        """Name or folder of the reranker, or None for `none`; with `rerank_url` the server's name for it.

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
