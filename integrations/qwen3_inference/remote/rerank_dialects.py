"""How each kind of server is asked for scores: one entry of a table for each.

Of a reranker's prompt, instruction and query have to be written exactly once. `prompt` says by whom: the client as
token ids ("tokens"), the client as text ("client"), or the server by a template of its own ("server").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen3_inference.remote.address import Route
from qwen3_inference.remote.answers import Reader, bare, first_of, listed


@dataclass(frozen=True)
class RerankRequest:
    """One query and some of its documents: in ids with "tokens", where `query` is all that goes before a document."""

    model: str
    query: str | list[int]
    documents: Sequence[str] | Sequence[list[int]]
    instruction: str | None
    """For a server that writes the prompt."""
    answer_ids: tuple[int, int] | None = None
    """The ids of "yes" and "no"; with "tokens"."""


@dataclass(frozen=True)
class Way:
    """One way to ask a server, by one `prompt`."""

    route: Route
    body: Callable[[RerankRequest], dict[str, Any]]
    read: Reader
    carries_instruction: bool = True


@dataclass(frozen=True)
class RerankDialect:
    name: str
    ways: Mapping[str, Way]
    """By `prompt`."""
    batch_size: int = 32
    """Documents of a request. More than a server takes is found out and divided."""
    concurrency: int = 8
    document_tokens: int | None = None
    """A longer document is cut by the server, in silence."""
    placeholders: tuple[str, ...] = field(default=())
    """What the server replaces where a query has it."""
    splits_control_tokens: bool = False
    whole_ids: str | None = None
    """The `prompt` whose route takes whole prompts as ids, with no query before them."""
    counts_prompts: bool = False
    """The tokens that the server says it has read are those of the whole prompts."""

    def checked_prompt(self, prompt: str | None) -> str:
        """`prompt`, or the only one that there is.

        Raises:
            ValueError: the dialect has no such one, or several and none was named.
        """
        allowed = " or ".join(f"prompt={name!r}" for name in self.ways)
        if prompt is None and len(self.ways) == 1:
            return next(iter(self.ways))
        if prompt is None:
            raise ValueError(
                f"dialect={self.name!r} needs {allowed}: a prompt written twice or never gives wrong scores in "
                "silence. 'tokens' is exact whatever template the server has"
            )
        if prompt not in self.ways:
            raise ValueError(f"prompt={prompt!r} is not possible with dialect={self.name!r}; it takes {allowed}")
        return prompt


def _cohere(
    documents: str = "documents", *, instruction: str | None = None, top_n: bool = True, **more: bool
) -> Callable[[RerankRequest], dict[str, Any]]:
    """The shape that Cohere began: a query, documents, and for some an instruction, in fields of these names."""

    def body(asked: RerankRequest) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": asked.model, "query": asked.query, documents: list(asked.documents), **more}
        if top_n:
            fields["top_n"] = len(asked.documents)
        if instruction is not None and asked.instruction is not None:
            fields[instruction] = asked.instruction
        return fields

    return body


def _vllm_classify(asked: RerankRequest) -> dict[str, Any]:
    return {"model": asked.model, "input": [[*asked.query, *document] for document in asked.documents]}


def _sglang_score(asked: RerankRequest) -> dict[str, Any]:
    return {
        "model": asked.model,
        "query": asked.query,
        "items": list(asked.documents),
        "label_token_ids": list(asked.answer_ids or ()),
        "apply_softmax": True,
    }


def _deepinfra(asked: RerankRequest) -> dict[str, Any]:
    fields = {"queries": [asked.query] * len(asked.documents), "documents": list(asked.documents)}
    return fields if asked.instruction is None else {**fields, "instruction": asked.instruction}


_RESULTS = listed("results", value="relevance_score")
_SCORES = listed(value="score")

RERANK_DIALECTS = {
    dialect.name: dialect
    for dialect in (
        RerankDialect(
            "vllm",
            {
                "tokens": Way(Route("/classify"), _vllm_classify, first_of(listed("data", value="probs"), 1)),
                "client": Way(Route("/rerank"), _cohere(), _RESULTS),
                "server": Way(Route("/rerank"), _cohere(instruction="instruction"), _RESULTS),
            },
            whole_ids="tokens",
            counts_prompts=True,
        ),
        RerankDialect(
            "sglang",
            {
                "tokens": Way(Route("/score", root="/v1"), _sglang_score, first_of(bare("scores"), 2)),
                "server": Way(
                    Route("/rerank", root="/v1"),
                    _cohere(instruction="instruct", return_documents=False),
                    _SCORES,
                ),
            },
            whole_ids="tokens",
        ),
        RerankDialect(
            "tei",
            {"client": Way(Route("/rerank"), _cohere("texts", top_n=False, raw_scores=False, truncate=False), _SCORES)},
        ),
        RerankDialect(
            "llama.cpp",
            {"server": Way(Route("/rerank", root="/v1"), _cohere(), _RESULTS, carries_instruction=False)},
            placeholders=("{document}",),
            counts_prompts=True,
        ),
        RerankDialect(
            "infinity",
            {"client": Way(Route("/rerank"), _cohere(raw_scores=False, return_documents=False), _RESULTS)},
        ),
        RerankDialect(
            "xinference",
            {
                "server": Way(
                    Route("/rerank", root="/v1"), _cohere(instruction="instruction", return_documents=False), _RESULTS
                )
            },
        ),
        RerankDialect(
            "siliconflow",
            {"server": Way(Route("/rerank", root="/v1"), _cohere(instruction="instruction"), _RESULTS)},
        ),
        RerankDialect(
            "dashscope",
            {"server": Way(Route("/reranks", root="/compatible-api/v1"), _cohere(instruction="instruct"), _RESULTS)},
            batch_size=100,
            document_tokens=4000,
        ),
        RerankDialect(
            "deepinfra", {"server": Way(Route("/inference/{model}", root="/v1"), _deepinfra, bare("scores"))}
        ),
        RerankDialect(
            "fireworks",
            {
                "server": Way(
                    Route("/rerank", root="/inference/v1"),
                    _cohere(instruction="task"),
                    listed("data", value="relevance_score"),
                )
            },
        ),
        RerankDialect(
            "qwen3-rag",
            {"server": Way(Route("/rerank", root="/v1"), _cohere(instruction="instruction"), _RESULTS)},
            splits_control_tokens=True,
        ),
    )
}
