"""Errors that a caller may want to tell apart. Invalid settings and inputs are plain `ValueError`."""


class CheckpointError(ValueError):
    """Not a checkpoint this package can run: missing, another architecture, unsafe or incomplete files."""


class HubUnavailableError(OSError):
    """The model hub could not be reached and the model is not in the local cache."""


class NumericalError(ArithmeticError):
    """The model produced NaN or infinity. `indices` names the offending inputs, in the caller's order."""

    def __init__(self, message: str, indices: list[int]) -> None:
        super().__init__(message)
        self.indices = indices

    def __reduce__(self) -> tuple[type, tuple[str, list[int]]]:
        return type(self), (str(self), self.indices)


class EngineUnavailableError(OSError):
    """A model server cannot be reached, does not answer in time, or answers that it cannot work now."""


class EngineResponseError(RuntimeError):
    """A model server's answer that cannot be right: wrong count or width, null, no JSON. The message names it."""


class NonFiniteResponseError(NumericalError, EngineResponseError):
    """A model server answered NaN or infinity. `indices` names the offending inputs, in the caller's order."""


class EngineNotPicklableError(TypeError):
    """An adapter built around a ready engine was pickled, and that engine cannot be."""
