"""What an endpoint should have given for the probes, and what each known fault would have: from weights, or a file."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from qwen3_inference.faults.embedding import QUERY_FAULTS, RIGHT, RIGHT_QUERY, TEXT_FAULTS, QueryFault, TextFault
from qwen3_inference.faults.rerank import PROMPT_FAULTS, RIGHT_PROMPT
from qwen3_inference.local.rerank import sigmoid
from qwen3_inference.prompts import DEFAULT_INSTRUCTION
from qwen3_inference.remote.raw import Rows
from qwen3_inference.verify.probes import DOCUMENTS, PAIRS, QUERIES
from qwen3_inference.verify.reference import EmbeddingReference, RerankReference

BY_NAME = {one.fault.name: one for one in (RIGHT, *TEXT_FAULTS)}
QUERIES_BY_NAME = {one.fault.name: one for one in (RIGHT_QUERY, *QUERY_FAULTS)}
PROMPTS_BY_NAME = {one.fault.name: one for one in (RIGHT_PROMPT, *PROMPT_FAULTS)}


class ExpectedVectors(Protocol):
    """By the names of faults, "right" among them. Rows may be the first numbers of whole vectors."""

    @property
    def model(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def right(self) -> Rows:
        """Of the document probes (8, width)."""
        ...

    @property
    def documents(self) -> Mapping[str, Rows]: ...

    def queries(self, texts: TextFault) -> Mapping[str, Rows] | None:
        """Of the query probes where texts have that fault; None where it is not known."""
        ...


class ExpectedScores(Protocol):
    @property
    def model(self) -> str: ...

    @property
    def right(self) -> Rows:
        """Probabilities of the eight pairs."""
        ...

    @property
    def prompts(self) -> Mapping[str, Rows]: ...


class ComputedVectors:
    """By the weights; the faults only when they are asked for."""

    def __init__(self, reference: EmbeddingReference) -> None:
        self.reference, self.model, self.width = reference, reference.model, reference.width

    @cached_property
    def right(self) -> Rows:
        return self.vectors(DOCUMENTS, RIGHT)

    @cached_property
    def documents(self) -> Mapping[str, Rows]:
        return {"right": self.right, **{one.fault.name: self.vectors(DOCUMENTS, one) for one in TEXT_FAULTS}}

    def queries(self, texts: TextFault) -> Mapping[str, Rows]:
        return {name: self.vectors(self._written(one), texts) for name, one in QUERIES_BY_NAME.items()}

    def vectors(self, texts: Sequence[str], fault: TextFault) -> Rows:
        here = self.reference
        texts = [here.document_prompt + text for text in texts] if texts is DOCUMENTS else texts
        return here.vectors([fault.ids(text, here.tokenizer, here.query_prompt) for text in texts], fault.pooling)

    def _written(self, query: QueryFault) -> list[str]:
        return [query.write(text, DEFAULT_INSTRUCTION, self.reference.query_prompt) for text in QUERIES]


class ComputedScores:
    def __init__(self, reference: RerankReference) -> None:
        self.reference, self.model = reference, reference.model

    @cached_property
    def right(self) -> Rows:
        return self.probabilities("right")

    @cached_property
    def prompts(self) -> Mapping[str, Rows]:
        return {name: self.probabilities(name) for name in PROMPTS_BY_NAME}

    def probabilities(self, name: str, task: str | None = None, pairs: Sequence[tuple[str, str]] = PAIRS) -> Rows:
        """With the prompt of that name, (pairs,)."""
        write, here = PROMPTS_BY_NAME[name], self.reference
        ids = [write.ids(query, text, task or here.task, here.tokenizer) for query, text in pairs]
        return sigmoid(here.logits(ids))
