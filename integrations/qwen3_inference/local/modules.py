"""What sentence-transformers' files say of a checkpoint: its modules, its prompts, its default settings."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen3_inference.errors import CheckpointError

EMBEDDING, RERANKER = "embedding", "reranker"
_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class Modules:
    """The modules of modules.json after the transformer, and what stands in the files beside it."""

    kind: str
    """"embedding" or "reranker"."""
    transformer: Path
    """The folder of config.json and the weights."""
    dense: tuple[Path, ...] = ()
    """Folders of dense layers between pooling and normalisation, in order."""
    is_normalized: bool = True
    query_prompt: str | None = None
    """What is put before queries; None where the files say nothing of prompts."""
    document_prompt: str = ""
    instruction: str | None = None
    """A reranker's default instruction."""
    truncate_dim: int | None = None
    answer_ids: tuple[int, int] | None = None
    """A reranker's ids of "yes" and "no"."""
    activation: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict, repr=False)
    """Entries that stand in place of config.json's."""


def read_modules(folder: Path) -> Modules | None:
    """What the files in `folder` say, or None where it has no modules.json.

    Raises:
        CheckpointError: a file is missing or damaged, or the modules are not those of a Qwen3 embedder or reranker.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return None
    rows = read_json(path, list)
    try:
        found = [(str(row["type"]), _below(folder, str(row.get("path") or ""), path)) for row in rows]
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: an entry without a type ({error})") from error
    foreign = [kind for kind, _ in found if not kind.startswith("sentence_transformers.")]
    if foreign:
        raise CheckpointError(f"{path} names code of its own ({', '.join(foreign)}), which is never run")
    names = [kind.rpartition(".")[2] for kind, _ in found]
    settings = read_json(folder / "config_sentence_transformers.json", dict, optional=True)
    if names[:2] == ["Transformer", "Pooling"]:
        return _embedder(folder, names, [place for _, place in found], settings)
    if names in (["Transformer"], ["Transformer", "LogitScore"]):
        return _reranker(names, [place for _, place in found], settings)
    raise CheckpointError(
        f"{path} must start with Transformer and Pooling(lasttoken), as Qwen3-Embedding, or be Transformer and "
        f"LogitScore, as Qwen3-Reranker; it has {names}"
    )


def _embedder(folder: Path, names: list[str], places: list[Path], settings: dict[str, Any]) -> Modules:
    pooling = _pooling(places[1])
    if pooling != "lasttoken":
        raise CheckpointError(
            f"{folder}/modules.json must start with Transformer and Pooling(lasttoken), as Qwen3-Embedding; it has "
            f"Pooling({pooling})"
        )
    after = [(name, place) for name, place in zip(names[2:], places[2:], strict=True) if name != "Dropout"]
    is_normalized = bool(after) and after[-1][0] == "Normalize"
    dense = after[:-1] if is_normalized else after
    if others := [name for name, _ in dense if name != "Dense"]:
        raise CheckpointError(
            f"{folder}/modules.json has {', '.join(others)} after the pooling; Dense layers and one Normalize at the "
            "end are supported"
        )
    _check_transformer(places[0], EMBEDDING)
    prompts = settings.get("prompts") or {}
    has_prompts = (folder / "config_sentence_transformers.json").is_file()
    return Modules(
        kind=EMBEDDING,
        transformer=places[0],
        dense=tuple(place for _, place in dense),
        is_normalized=is_normalized,
        query_prompt=_text(prompts, "query") if has_prompts else "",
        document_prompt=_text(prompts, "document"),
        truncate_dim=settings.get("truncate_dim"),
        overrides=_overrides(places[0]),
    )


def _reranker(names: list[str], places: list[Path], settings: dict[str, Any]) -> Modules:
    answers = None
    if names[-1] == "LogitScore":
        path = places[1] / "config.json"
        score = read_json(path, dict)
        answers = (score.get("true_token_id"), score.get("false_token_id"))
        if not all(isinstance(answer, int) for answer in answers):
            raise CheckpointError(
                f"{path} needs the ids of two answers, true_token_id and false_token_id; it has {answers}: a score "
                "from one logit is no probability"
            )
    _check_transformer(places[0], RERANKER)
    default = settings.get("default_prompt_name")
    return Modules(
        kind=RERANKER,
        transformer=places[0],
        instruction=_text(settings.get("prompts") or {}, default) or None if default else None,
        answer_ids=answers,
        activation=settings.get("activation_fn"),
        overrides=_overrides(places[0]),
    )


def _pooling(folder: Path) -> str:
    """The pooling's mode; several are joined by +."""
    settings = read_json(folder / "config.json", dict)
    mode = settings.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else list(mode or [])
    return "+".join(modes or [name for key, name in _POOLINGS.items() if settings.get(key)] or ["mean"])


def _check_transformer(folder: Path, kind: str) -> None:
    """Refuse settings of sentence_bert_config.json by which it would feed the model something else than the text."""
    path = folder / "sentence_bert_config.json"
    settings = read_json(path, dict, optional=True)
    asked = [name for name in ("do_lower_case", "query_expansion") if settings.get(name)]
    modalities = settings.get("modality_config")
    if kind == EMBEDDING and isinstance(modalities, dict) and "text" not in modalities:
        asked.append(f"modality_config for {', '.join(modalities)}")
    if asked:
        raise CheckpointError(f"{path} asks for {', '.join(asked)}, which this engine does not do")


def _overrides(folder: Path) -> dict[str, Any]:
    settings = read_json(folder / "sentence_bert_config.json", dict, optional=True)
    found: dict[str, Any] = settings.get("config_kwargs") or settings.get("config_args") or {}
    return {name: value for name, value in found.items() if name != "trust_remote_code"}


def _text(prompts: dict[str, Any], name: str) -> str:
    value = prompts.get(name)
    if value is not None and not isinstance(value, str):
        raise CheckpointError(f"config_sentence_transformers.json: the prompt {name!r} is {value!r}, not a text")
    return value or ""


def _below(folder: Path, name: str, source: Path) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise CheckpointError(f"{source} names {name!r}, outside the checkpoint's folder")
    return folder / path


def read_json(path: Path, kind: type, *, optional: bool = False) -> Any:
    """The content of a JSON file, which must be of `kind`; an empty one where an optional file is missing."""
    if not path.is_file():
        if optional:
            return kind()
        raise CheckpointError(f"{path} is missing: the checkpoint was not copied or downloaded whole; get it again")
    raw = path.read_bytes()
    if raw.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the file: run `git lfs pull` in its repository")
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not a JSON object: {error}") from error
    if not isinstance(content, kind):
        name = "object" if kind is dict else "list"
        raise CheckpointError(f"{path} is not a JSON {name}: it holds {type(content).__name__}")
    return content
