"""A reranker that is verified: behind our remote engine, or any object with LlamaIndex's methods."""

from collections.abc import Sequence
from typing import Any

from qwen3_inference.errors import EngineResponseError
from qwen3_inference.remote.raw import RawScores
from qwen3_inference.remote.rerank import RemoteRerankEngine
from qwen3_inference.remote.rerank_inputs import whole_prompts
from qwen3_inference.verify.subjects import errors_of


class RerankEndpoint:
    """A server by its remote engine, asked in the engine's own way; its first use, which tells less, is left out."""

    def __init__(self, engine: RemoteRerankEngine) -> None:
        self.engine, self.name, self.scores = engine, engine.model_name, engine.scores
        self.description = engine.describe()
        self.max_length, self.prompt = engine.max_length, engine.prompt

    def ask(self, query: str, documents: Sequence[str], task: str | None = None) -> RawScores:
        inputs = self.engine.inputs(query, documents, instruction=task)
        return self.engine.ask_raw(inputs, instruction=task)

    def ask_ids(self, sequences: Sequence[Sequence[int]]) -> RawScores:
        """Whole prompts, round the server's template."""
        assert self.description is not None  # noqa: S101  only asked where there is one
        return self.engine.ask_raw(whole_prompts(sequences, self.description), whole_ids=True)

    @property
    def takes_whole_ids(self) -> bool:
        return self.engine.dialect.whole_ids is not None and self.description is not None


class RerankComponent:
    """Any BaseNodePostprocessor of LlamaIndex that scores nodes, or a RerankEngine."""

    description, max_length, prompt, scores = None, 0, "", "probability"

    def __init__(self, model: Any) -> None:
        self.model, self.name = model, str(getattr(model, "model_name", getattr(model, "model", type(model).__name__)))

    def ask(self, query: str, documents: Sequence[str], task: str | None = None) -> RawScores:
        with errors_of(self.model):
            if hasattr(self.model, "postprocess_nodes"):
                return RawScores(_by_nodes(self.model, query, documents), None)
            return RawScores(self.model.score(query, list(documents), instruction=task).tolist(), None)

    @property
    def takes_task(self) -> bool:
        return not hasattr(self.model, "postprocess_nodes")


def rerank_subject(model: Any) -> RerankEndpoint | RerankComponent:
    """Raises TypeError for what cannot rerank."""
    for one in (model, getattr(model, "engine", None)):
        if isinstance(one, RemoteRerankEngine):
            return RerankEndpoint(one)
    if hasattr(model, "postprocess_nodes") or hasattr(model, "score"):
        return RerankComponent(model)
    raise TypeError(
        f"{type(model).__name__} cannot be verified as a reranker; give a RemoteRerankEngine, a LlamaIndex "
        "BaseNodePostprocessor or a RerankEngine"
    )


def _by_nodes(model: Any, query: str, documents: Sequence[str]) -> list[float]:
    from llama_index.core.schema import NodeWithScore, TextNode

    copy = model.model_copy(update={"top_n": len(documents)}) if hasattr(model, "top_n") else model
    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(place))) for place, text in enumerate(documents)]
    found = {one.node.node_id: one.score for one in copy.postprocess_nodes(nodes, query_str=query)}
    missing = [place for place in range(len(documents)) if found.get(str(place)) is None]
    if missing:
        raise EngineResponseError(
            f"{type(model).__name__} gives {len(missing)} of {len(documents)} nodes no score, or leaves them out; let "
            "it keep all nodes to be verified (top_n, no threshold)"
        )
    return [float(found[str(place)]) for place in range(len(documents))]
