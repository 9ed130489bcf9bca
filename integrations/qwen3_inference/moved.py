"""Module names of earlier versions: what was imported or pickled by them still loads, with a warning that says where it
is now, or fails with one line that says so."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class Moved(MetaPathFinder, Loader):
    """Finds old modules, after all other finders: nobody waits for it who does not need it.

    Args:
        homes: an old module's name to the modules in which its names are now.
        public: a package whose exports are best imported from itself.
    """

    def __init__(self, homes: Mapping[str, Sequence[str]], public: str = "") -> None:
        self._homes, self._public = homes, public

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname in self._homes:
            return ModuleSpec(fullname, self, is_package=any(one.startswith(f"{fullname}.") for one in self._homes))
        parent, _, name = fullname.rpartition(".")
        if parent in self._homes:  # a name of a module that is a package now
            raise ImportError(self._advice(parent, name, self._home_of(parent, name)), name=fullname)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _OldModule(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""

    def look_up(self, module: str, name: str) -> Any:
        """What a module of an earlier version had under a name; `ImportError` where nothing has taken its place."""
        home = self._home_of(module, name)
        advice = self._advice(module, name, home)
        if home is None:
            raise ImportError(advice, name=module)
        warnings.warn(advice, DeprecationWarning, stacklevel=3)
        return getattr(import_module(home), name)

    def _home_of(self, module: str, name: str) -> str | None:
        return next((home for home in self._homes[module] if hasattr(import_module(home), name)), None)

    def _advice(self, module: str, name: str, home: str | None) -> str:
        if home is None:
            return f"{module}.{name} is not there; CHANGELOG.md lists what 0.2 moved and removed"
        exported = self._public and name in import_module(self._public).__all__
        return f"{module}.{name} has moved since 0.1: from {self._public if exported else home} import {name}"


class _OldModule(ModuleType):
    def __init__(self, name: str, moved: Moved) -> None:
        super().__init__(name)
        self._moved = moved

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._moved.look_up(self.__name__, name)


def fill_fields(model: Any) -> None:
    """Give a pydantic object that an earlier version has pickled the fields that came since, at their defaults."""
    for name, field in type(model).model_fields.items():
        if name not in model.__dict__:
            model.__dict__[name] = field.get_default(call_default_factory=True)


_LOCAL = ("attention", "batching", "checkpoint", "coalescing", "decoder", "devices", "linear", "loading", "settings")
_CONFORMANCE = ("embedding", "nodes", "outcome", "postprocessor", "recording", "shared", "subjects")

sys.meta_path.append(
    Moved(
        {
            **{f"qwen3_inference.{name}": (f"qwen3_inference.local.{name}", "qwen3_inference.hub") for name in _LOCAL},
            "qwen3_inference.torch_embedding": ("qwen3_inference.local.embedding",),
            "qwen3_inference.torch_engine": ("qwen3_inference.local.engine", "qwen3_inference.sequences"),
            "qwen3_inference.torch_rerank": ("qwen3_inference.local.rerank",),
            "qwen3_inference.worker": ("qwen3_inference.local.worker",),
            "llama_index_conformance": ("qwen3_conformance",),
            **{f"llama_index_conformance.{name}": (f"qwen3_conformance.{name}",) for name in _CONFORMANCE},
        }
    )
)
