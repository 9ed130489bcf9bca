"""What a config.json asks for, and whether this engine computes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from qwen3_inference.errors import CheckpointError

CAUSAL, CLASSIFIER = "Qwen3ForCausalLM", "Qwen3ForSequenceClassification"
_ARCHITECTURES = ("Qwen3Model", CAUSAL, CLASSIFIER)
_STATIC_ROPE_TYPES = ("default", "linear", "yarn", "llama3")


@dataclass(frozen=True)
class Architecture:
    """The numbers of a Qwen3 decoder; defaults are those of transformers' `Qwen3Config`."""

    hidden_size: int = 4096
    intermediate_size: int = 22016
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 32
    head_dim: int = 128
    vocab_size: int = 151936
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-6
    attention_bias: bool = False
    tie_word_embeddings: bool = False
    name: str | None = None
    """The first entry of `architectures`, None where there is none."""
    config: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_classifier(self) -> bool:
        return self.name == CLASSIFIER


def read_architecture(config: dict[str, Any], where: str) -> Architecture:
    """The architecture of a parsed config.json.

    Raises:
        CheckpointError: it asks for anything that this engine does not compute; `where` names the file.
    """
    kind = config.get("model_type")
    if kind != "qwen3":
        raise CheckpointError(f"{where} holds a model of type {kind!r}; this package runs 'qwen3' only")
    if refused := "; ".join(_refused(config)):
        raise CheckpointError(
            f"{where} asks for what this engine does not compute, and no published Qwen3 embedder or reranker needs: "
            f"{refused}"
        )
    values = {name: config[name] for name in Architecture.__dataclass_fields__ if config.get(name) is not None}
    if "num_key_value_heads" not in values and "num_attention_heads" in values and "num_key_value_heads" in config:
        values["num_key_value_heads"] = values["num_attention_heads"]
    architecture = Architecture(**{**values, "name": (config.get("architectures") or [None])[0], "config": config})
    if wrong := "; ".join(_impossible(architecture)):
        raise CheckpointError(f"{where} is damaged: {wrong}")
    return architecture


def _refused(config: Mapping[str, Any]) -> Iterator[str]:
    for name in config.get("architectures") or []:
        if name not in _ARCHITECTURES:
            yield f"the architecture {name!r} (computed: {', '.join(_ARCHITECTURES)})"
    for task, target in _remote_classes(config):
        yield f"code of its own ({task}: {target}), which is never run"
    if config.get("hidden_act", "silu") != "silu":
        yield f"hidden_act {config['hidden_act']!r} (computed: 'silu')"
    yield from _refused_attention(config)
    yield from _refused_rope(config)
    if quantised := config.get("quantization_config") or config.get("compression_config"):
        method = quantised.get("quant_method") if isinstance(quantised, Mapping) else None
        yield f"quantised weights ({method or quantised}); take the checkpoint in bfloat16"


def _remote_classes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Classes in auto_map that stand in place of transformers' own: what they compute is not known here."""
    entries = config.get("auto_map")
    for task, target in (entries if isinstance(entries, Mapping) else {}).items():
        if task.startswith("AutoModel"):
            yield task, str(target)


def _refused_attention(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("use_sliding_window"):
        yield f"a sliding window (use_sliding_window {config['use_sliding_window']!r})"
    if other := sorted({str(kind) for kind in config.get("layer_types") or []} - {"full_attention"}):
        yield f"layer_types {', '.join(map(repr, other))} (computed: 'full_attention')"
    if config.get("is_causal") is False:
        yield "attention in both directions (is_causal false)"
    for name, value in config.items():
        if "bidirectional" in name.lower() and value:
            yield f"attention in both directions ({name} {value!r})"


def rope_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary embedding's parameters, whether written as `rope_parameters` or the older `rope_scaling`."""
    found = dict(config.get("rope_scaling") or config.get("rope_parameters") or {})
    kind = found.get("rope_type") or found.get("type") or "default"
    return {"rope_theta": config.get("rope_theta", 10_000.0), **found, "rope_type": kind}


def _refused_rope(config: Mapping[str, Any]) -> Iterator[str]:
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if not isinstance(rope, Mapping) or any(isinstance(value, Mapping) for value in rope.values()):
        yield f"a rotary embedding of its own for some layers ({rope})"
        return
    kind = rope_parameters(config)["rope_type"]
    if kind not in _STATIC_ROPE_TYPES:
        yield f"rope_type {kind!r} is not supported; one of {', '.join(_STATIC_ROPE_TYPES)} is"
    share = rope.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1.0
    if share != 1.0:
        yield f"partial_rotary_factor {share!r} (computed: 1.0)"


def _impossible(architecture: Architecture) -> Iterator[str]:
    for name in (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "vocab_size",
        "max_position_embeddings",
    ):
        value = getattr(architecture, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"{name} {value!r} must be an integer of at least 1"
            return
    if architecture.num_attention_heads % architecture.num_key_value_heads:
        yield (
            f"num_attention_heads {architecture.num_attention_heads} must be a multiple of num_key_value_heads "
            f"{architecture.num_key_value_heads}"
        )
    if architecture.head_dim % 2:
        yield f"head_dim {architecture.head_dim} must be even"
    if not isinstance(architecture.rms_norm_eps, int | float):
        yield f"rms_norm_eps {architecture.rms_norm_eps!r} must be a number"
