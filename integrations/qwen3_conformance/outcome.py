"""How a check ends when it does not pass."""


class ConformanceError(AssertionError):
    """The subject does not behave as LlamaIndex users may expect; the message says how."""


class NotApplicableError(Exception):
    """The subject was not given what this check needs."""


def require(condition: bool, message: str) -> None:
    """Raise ConformanceError unless `condition` holds. Unlike `assert`, it also works under `python -O`."""
    if not condition:
        raise ConformanceError(message)
