"""What callers may send, with its bounds."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from qwen3_rag.query.stages import Wishes
from qwen3_rag.serve.failures import HttpError
from qwen3_rag.serve.settings import ServeSettings

MAX_TOP_K = 1_000
"""Candidates of a question: the second stage reads each of them."""
MAX_TEXTS = 2_048
"""Texts of one call, as OpenAI's."""

Text = Annotated[str, Field(max_length=200_000)]
Instruction = Annotated[str, Field(max_length=4_000)]
Count = Annotated[int, Field(ge=1, le=MAX_TOP_K)]
Condition = Annotated[str, Field(max_length=2_000)]


class Body(BaseModel):
    """JSON of exactly these fields and types: what is not understood is refused, not passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class QuestionBody(Body):
    """Of `/search`."""

    query: Text
    collection: str | None = None
    top_k: Count | None = None
    top_n: Count | None = None
    mode: Literal["dense", "hybrid"] | None = None
    filters: Annotated[list[Condition], Field(max_length=32)] | None = None
    instruction: Instruction | None = None
    query_instruction: Instruction | None = None
    rerank_instruction: Instruction | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    rerank: bool = True
    exclude: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MAX_TOP_K)] | None = None

    def wishes(self) -> Wishes:
        """What the question asks for."""
        return {
            "top_k": self.top_k,
            "top_n": self.top_n,
            "mode": self.mode,
            "filters": self.filters,
            "instruction": self.instruction,
            "query_instruction": self.query_instruction,
            "rerank_instruction": self.rerank_instruction,
            "score_threshold": self.score_threshold,
            "rerank": self.rerank,
            "exclude": self.exclude or (),
        }


class AskBody(QuestionBody):
    """Of `/ask`."""

    stream: bool = False


class EmbeddingsBody(Body):
    """Of `/v1/embeddings`: OpenAI's fields, and three of ours."""

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None
    input_type: Literal["query", "document"] = "document"
    instruction: Instruction | None = None

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class TextDocument(Body):
    """How some clients write a document."""

    text: Text


class RerankBody(Body):
    """Of `/v1/rerank`: the fields of Cohere and Jina, and `instruction`."""

    query: Text
    documents: Annotated[list[Text | TextDocument], Field(max_length=MAX_TEXTS)]
    model: str | None = None
    top_n: Annotated[int, Field(ge=1)] | None = None
    instruction: Instruction | None = None
    return_documents: bool = False

    @property
    def texts(self) -> list[str]:
        return [one if isinstance(one, str) else one.text for one in self.documents]


class IngestBody(Body):
    """Of `/ingest`."""

    paths: Annotated[
        list[Annotated[str, Field(max_length=4_096, pattern=r"^[^\x00]*$")]], Field(min_length=1, max_length=1_000)
    ]
    collection: str | None = None
    prune: bool = False
    include: Annotated[list[Condition], Field(max_length=100)] = []
    exclude: Annotated[list[Condition], Field(max_length=100)] = []
    gitignore: bool = True
    metadata: Annotated[dict[str, str | int | float | bool], Field(max_length=100)] = {}
    name: str | None = None


AnyBody = TypeVar("AnyBody", bound=Body)


async def read_body(request: Request, kind: type[AnyBody], settings: ServeSettings) -> AnyBody:
    """The request's JSON, checked.

    Raises:
        HttpError: 413 where it is too long, 400 where it is no JSON or does not arrive.
        pydantic.ValidationError: it is other JSON than is expected here.
    """
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise HttpError(400, "send JSON, with 'Content-Type: application/json'")
    return kind.model_validate_json(await read_raw(request, settings))


async def read_raw(request: Request, settings: ServeSettings) -> bytes:
    """The request's body, where it is not too long and does not take too long."""
    too_long = HttpError(413, f"the body is over {settings.body_bytes} bytes; send less at once")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > settings.body_bytes:
        raise too_long
    raw = bytearray()
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for piece in request.stream():
                raw += piece
                if len(raw) > settings.body_bytes:
                    raise too_long
    except TimeoutError:
        raise HttpError(400, f"the body did not arrive within {settings.body_seconds:g} s") from None
    return bytes(raw)
