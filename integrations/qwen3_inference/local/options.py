"""The options of a local engine as pydantic fields: declared once, shared by every class that has them.

A class that adds options of its own declares each twice: as a field, which validates and describes it, and in the
signature of `__init__`, which type checkers and editors read. The tests hold the two against each other.
"""

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from qwen3_inference.engines import has_methods
from qwen3_inference.local.checkpoint import DEFAULT_MAX_LENGTH
from qwen3_inference.local.devices import DTYPES
from qwen3_inference.local.settings import DEFAULT_MAX_BATCH_TOKENS, LocalSettings
from qwen3_inference.moved import fill_fields
from qwen3_inference.prompts import check_instruction

Folder: TypeAlias = str | os.PathLike[str]
if TYPE_CHECKING:
    import torch

    Device: TypeAlias = str | torch.device | None
    DType: TypeAlias = str | torch.dtype
else:  # torch is imported when weights load, and no sooner
    Device = DType = Any


def _plain_folder(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{info.field_name}={value!r} must be a folder, as a string or a pathlib.Path")
    return value


def _plain_model(value: Any, info: ValidationInfo) -> Any:
    """A `Path` always means a folder, also where a string of the same letters would be a hub name or 'tiny'."""
    plain = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(plain, str):
        raise ValueError(
            f"{info.field_name}={value!r} must be a hub name (Qwen/Qwen3-Embedding-0.6B), a folder (a string or a "
            "pathlib.Path) or 'tiny'"
        )
    if plain is value or PurePath(plain).is_absolute() or plain.startswith((".", "~")):
        return plain
    return os.path.join(".", plain)


def _plain_device(value: Any, info: ValidationInfo) -> Any:
    torch = sys.modules.get("torch")  # without it, no value is of its types
    if torch is not None and isinstance(value, torch.device):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{info.field_name}={value!r} must be 'cpu', 'cuda', 'cuda:1', 'mps', a torch.device or None")
    return value


def _plain_dtype(value: Any, info: ValidationInfo) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if not isinstance(value, str):
        raise ValueError(f"{info.field_name}={value!r} must be one of {', '.join(map(repr, DTYPES))} or a torch.dtype")
    return value


def _checked_instruction(value: Any, info: ValidationInfo) -> Any:
    return check_instruction(value, str(info.field_name))


ModelName = Annotated[str, BeforeValidator(_plain_model)]
Instruction = Annotated[str | None, BeforeValidator(_checked_instruction)]


def ready(protocol: type) -> AfterValidator:
    """Checks a ready engine, which has the methods of `protocol`."""

    def check(engine: Any) -> Any:
        if engine is not None and not has_methods(engine, protocol):
            raise ValueError(f"engine={engine!r} must have the methods of qwen3_inference.{protocol.__name__}")
        return engine

    return AfterValidator(check)


class LocalOptions(BaseModel):
    """What the classes that run a local model have in common. Values are plain strings and numbers once they are set,
    whatever they were given as, so that dictionaries, pickles and cache keys hold them."""

    model_config = ConfigDict(validate_assignment=True)

    max_length: int = Field(
        default=DEFAULT_MAX_LENGTH,
        description="tokens of a text; of prompt, query and document together for a reranker. Longer documents are cut "
        "with a warning, longer queries are an error.",
    )
    device: Annotated[str | None, BeforeValidator(_plain_device)] = Field(
        default=None, description="'cpu', 'cuda', 'cuda:1', 'mps' or a torch.device; None takes the best one."
    )
    dtype: Annotated[str, BeforeValidator(_plain_dtype)] = Field(
        default="auto",
        description="'auto' (bfloat16 where the hardware has it, else float32), 'float32', 'bfloat16', 'float16' or a "
        "torch.dtype.",
    )
    revision: str | None = Field(default=None, description="hub revision; pin it for reproducible results.")
    cache_folder: Annotated[str | None, BeforeValidator(_plain_folder)] = Field(
        default=None, description="where hub downloads are kept; None: the hub's own cache."
    )
    trust_remote_code: bool = Field(
        default=False, description="accepted for LlamaIndex; no code of a checkpoint is ever run."
    )
    max_batch_tokens: int = Field(
        default=DEFAULT_MAX_BATCH_TOKENS, description="tokens computed at once; lower it for less memory."
    )

    def __init__(self, **options: Any) -> None:
        with _in_one_sentence():
            super().__init__(**options)

    def __setattr__(self, name: str, value: Any) -> None:
        with _in_one_sentence():
            super().__setattr__(name, value)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        fill_fields(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that shares the loaded weights; `update` is validated as an assignment is."""
        copy = super().model_copy(deep=deep)
        for name, value in (update or {}).items():
            setattr(copy, name, value)
        return copy

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\nArgs:\n{_described(cls)}\n"


def local_settings(options: LocalOptions, model: str, kind: str) -> LocalSettings:
    return LocalSettings(model, kind, **{name: getattr(options, name) for name in LocalOptions.model_fields})


def _described(options: type[BaseModel]) -> str:
    """A line for each option in the order of the signature."""
    lines = []
    for name in list(inspect.signature(options.__init__).parameters)[1:]:
        text = f"{name}: {options.model_fields[name].description}"
        lines.append(fill(text, 120, initial_indent=" " * 4, subsequent_indent=" " * 8))
    return "\n".join(lines)


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Pydantic's errors are lists with links; a `ValueError` with the option, its value and what is wrong says it."""
    try:
        yield
    except ValidationError as error:
        raise ValueError("; ".join(map(_sentence, error.errors()))) from None


def _sentence(error: Any) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"{'.'.join(map(str, error['loc']))}={error['input']!r:.80}: {error['msg']}"
