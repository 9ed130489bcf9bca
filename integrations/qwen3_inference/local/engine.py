"""What the two local engines share: lazy loading, one forward at a time, prompt prefixes, checks of the result."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from qwen3_inference.errors import NumericalError
from qwen3_inference.local.checkpoint import Checkpoint, effective_max_length
from qwen3_inference.local.processes import LOADING
from qwen3_inference.local.settings import LocalSettings
from qwen3_inference.local.worker import ModelWorker
from qwen3_inference.tokenization import PromptTokenizer

if TYPE_CHECKING:
    import torch

    from qwen3_inference.local.decoder import KeyValues, Qwen3Decoder

_KEPT_PREFIXES = 8


class _HasDecoder(Protocol):
    @property
    def decoder(self) -> "Qwen3Decoder": ...


Model = TypeVar("Model", bound=_HasDecoder)


class TorchEngine(Generic[Model]):
    """Weights load at the first use and stay; copying or pickling carries the settings alone.

    The underscored members below are used inside `self._worker.run` only, which makes them safe without locks.
    """

    def __init__(self, settings: LocalSettings) -> None:
        settings.check()
        self.settings = settings
        self._worker = ModelWorker()
        self._model: Model | None = None
        self._tokenizer: PromptTokenizer | None = None
        self._checkpoint: Checkpoint | None = None
        self._identity: str | None = None
        self._max_length = settings.max_length
        self._prefixes: OrderedDict[str, tuple[list[int], KeyValues]] = OrderedDict()

    def __reduce__(self) -> tuple[Any, tuple[LocalSettings]]:
        return type(self), (self.settings,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    @property
    def model_name(self) -> str:
        return self.settings.model

    @property
    def identity(self) -> str:
        """Whose results these are: model, revision and what else changes them. Finds the files, loads no weights."""
        if self._identity is None:
            self._identity = f"{self.settings.model}@{self.settings.open().revision}/{self.settings.effective_dtype}"
        return self._identity

    def load(self) -> None:
        """Load the weights now instead of at the first use.

        Raises:
            HubUnavailableError: the model is not here and the hub cannot be reached.
            CheckpointError: what is there is not a checkpoint this engine can run.
        """
        self._worker.run(lambda _: self._loaded())

    def _loaded(self) -> tuple[PromptTokenizer, Model]:
        if self._model is None:
            checkpoint = self._opened()
            with LOADING.held():
                from qwen3_inference.local.devices import resolve_device, resolve_dtype

                device = resolve_device(self.settings.device)
                dtype = resolve_dtype(self.settings.effective_dtype, device)
                self._model = self._load_model(checkpoint, self._opened_tokenizer(), device, dtype)
        return self._opened_tokenizer(), self._model

    def _opened(self) -> Checkpoint:
        """What the files say, the weights' values excepted."""
        if self._checkpoint is None:
            checkpoint = self.settings.open()
            self._max_length = effective_max_length(self.settings.max_length, checkpoint)
            self._checkpoint = checkpoint
        return self._checkpoint

    def _opened_tokenizer(self) -> PromptTokenizer:
        if self._tokenizer is None:
            self._tokenizer = PromptTokenizer(self._opened().tokenizer_folder)
        return self._tokenizer

    def _load_model(
        self, checkpoint: Checkpoint, tokenizer: PromptTokenizer, device: "torch.device", dtype: "torch.dtype"
    ) -> Model:
        raise NotImplementedError

    def _threads(self) -> int:
        """Torch's threads where forwards can run side by side: on a CPU."""
        import torch

        return torch.get_num_threads() if self._loaded()[1].decoder.device.type == "cpu" else 1

    def _prefix(self, text: str, ids: list[int]) -> tuple[list[int], "KeyValues"]:
        """Ids and keys and values of a prompt that starts many sequences; the last few are kept."""
        if text not in self._prefixes:
            _, model = self._loaded()
            self._prefixes[text] = ids, model.decoder.prefill(ids)
            if len(self._prefixes) > _KEPT_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(text)
        return self._prefixes[text]


def raise_for_non_finite(values: npt.NDArray[Any], what: str) -> None:
    """NaN would silently break every order it takes part in; float16 overflows to it in the 8B for some texts."""
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1) if values.size else np.ones(len(values), bool)
    bad = [int(index) for index in np.flatnonzero(~finite)]
    if bad:
        raise NumericalError(
            f"the {what} of input {', '.join(map(str, bad[:10]))} is not finite; dtype='float16' overflows on large "
            "activations: use dtype='bfloat16' or 'float32'",
            bad,
        )
