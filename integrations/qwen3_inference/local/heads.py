"""A reranker's head: the one row whose product with the last hidden state is the logit of its probability."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qwen3_inference.errors import CheckpointError
from qwen3_inference.local.architecture import Architecture
from qwen3_inference.local.modules import RERANKER, Modules
from qwen3_inference.local.weights import Shape, Weights
from qwen3_inference.tokenization import PromptTokenizer

if TYPE_CHECKING:
    from torch import Tensor

_LM_HEAD, _SCORE = "lm_head.weight", "score.weight"
# What a score is where these are named: with both, the probability is the sigmoid of the logit.
_ACTIVATIONS = ("Sigmoid", "Identity")
_POSITIVE = {"yes", "true", "relevant", "positive", "entailment", "1", "label_1"}


def head_shapes(architecture: Architecture, kind: str, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Names and shapes of the weights that a stage needs besides the decoder's."""
    if kind != RERANKER:
        return {}
    if architecture.is_classifier:
        return {_SCORE: (len(labels(architecture.config)), architecture.hidden_size)}
    if architecture.tie_word_embeddings and _LM_HEAD not in shapes:
        return {}
    return {_LM_HEAD: (architecture.vocab_size, architecture.hidden_size)}


def labels(config: Mapping[str, Any]) -> list[str]:
    """The classes of a classifier, in order; transformers' default is two.

    >>> labels({"id2label": {"0": "no", "1": "yes"}})
    ['no', 'yes']
    """
    named = config.get("id2label")
    if isinstance(named, Mapping) and named:
        return [str(named[key]) for key in sorted(named, key=int)]
    return [f"LABEL_{i}" for i in range(int(config.get("num_labels") or 2))]


def check_head(architecture: Architecture, modules: Modules | None, where: str) -> None:
    """Raise CheckpointError for a classifier whose output is no probability of relevance, as far as its config says."""
    config = architecture.config
    own = config.get("sentence_transformers")
    activation = (
        (modules.activation if modules else None)
        or (own.get("activation_fn") if isinstance(own, Mapping) else None)
        or config.get("sbert_ce_default_activation_function")
    )
    if activation is not None and str(activation).rpartition(".")[2] not in _ACTIVATIONS:
        raise CheckpointError(
            f"{where} names the activation {activation!r}; a reranker's score is the sigmoid of its logit "
            f"({' or '.join(_ACTIVATIONS)})"
        )
    if not architecture.is_classifier:
        return
    names = labels(config)
    if len(names) > 2 or (len(names) == 2 and _positive(names) is None):
        raise CheckpointError(
            f"{where} has the classes {', '.join(names)}; a reranker has one, or two of which one is 'yes' "
            "(or 'relevant', 'true', 'positive', 'LABEL_1')"
        )


def logit_row(
    weights: Weights, architecture: Architecture, modules: Modules | None, tokenizer: PromptTokenizer
) -> "Tensor":
    """Float32 (hidden,). Of yes and no, their difference: softmax over two logits is the sigmoid of it."""
    if architecture.is_classifier:
        names = labels(architecture.config)
        if len(names) == 1:
            return weights.rows(_SCORE, [0])[0]
        yes = _positive(names) or 0
        rows = weights.rows(_SCORE, [yes, 1 - yes])
        return rows[0] if architecture.config.get("problem_type") == "multi_label_classification" else rows[0] - rows[1]
    own = modules.answer_ids if modules else None
    ids = own or (tokenizer.single_id("yes"), tokenizer.single_id("no"))
    name = _LM_HEAD if _LM_HEAD in weights.shapes else _embedding_name(weights)
    rows = weights.rows(name, ids)
    return rows[0] - rows[1]


def _positive(names: list[str]) -> int | None:
    found = [index for index, name in enumerate(names) if name.lower() in _POSITIVE]
    return found[0] if len(found) == 1 else None


def _embedding_name(weights: Weights) -> str:
    return next(name for name in weights.shapes if name.removeprefix("model.") == "embed_tokens.weight")
