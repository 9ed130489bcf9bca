"""Errors that a user can act on, each with the exit code of the command line.

0 done; 2 usage or configuration; 3 done in part; 4 something needed is unavailable; 5 a check said no; 1 a bug.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any


class RagError(Exception):
    """Base of the errors that are explained in one message and never shown as a traceback."""

    exit_code = 1


class ConfigError(RagError, ValueError):
    """A setting is wrong, or two settings (or a setting and a stored collection) contradict each other."""

    exit_code = 2


class NotThereError(ConfigError):
    """A document, a job or a collection is asked for by a name that there is none of."""


class UnavailableError(RagError):
    """Something outside this process is needed and not there: database, model hub, language model."""

    exit_code = 4


class MissingExtraError(UnavailableError, ImportError):
    """A package is not installed; the message names the extra that brings it."""


def describe_invalid(detail: Mapping[str, Any], what: str, secrets: Container[str] = ()) -> str:
    """One of pydantic's error details as a clause with the name, the value and the bound. `what` is what it is not.

    >>> describe_invalid({"loc": ("top",), "type": "extra_forbidden", "msg": "", "input": 1}, "a setting")
    "'top' is not a setting"
    """
    name = ".".join(str(part) for part in detail["loc"][:2])
    if detail["type"] == "extra_forbidden":
        return f"{name!r} is not {what}"
    if detail["type"] == "missing":
        return f"{name!r} is missing: give it"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return f"{name}: {message}" if name else message
    value = "a secret" if name in secrets else repr(detail["input"])[:100]
    return f"{name or 'arguments'}={value}: {message[0].lower()}{message[1:]}"
