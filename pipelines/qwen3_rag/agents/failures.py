"""What goes wrong in a tool, as a result that says what to do about it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pydantic import BaseModel, ValidationError

from qwen3_rag.agents.wrapping import attribute, shorten
from qwen3_rag.errors import describe_invalid
from qwen3_rag.explain import explain

logger = logging.getLogger(__name__)

MAX_MESSAGE = 500

Explain = Callable[[Exception], str | None]
"""One line for an error that a caller can act on; None for any other."""


class ToolError(BaseModel):
    """A call that failed, in words a model can act on."""

    error: str

    def __str__(self) -> str:
        return f"Error: {self.error}"


def failure(error: Exception, tool: str, own: Explain | None = None) -> ToolError:
    """The error as a result. What is a bug rather than the caller's or the surroundings' fault is logged in full."""
    if isinstance(error, ValidationError):
        what = "an argument of this tool"
        message: str | None = "; ".join(describe_invalid(one, what) for one in error.errors(include_url=False))
    else:
        known = explain(error) or (error if isinstance(error, ValueError) else None)
        message = str(known) if known else own and own(error)
    if message is None:
        logger.error("tool %s failed", tool, exc_info=error)
        message = f"internal error in {tool} ({type(error).__name__}); it is in the log, another question may work"
    return ToolError(error=shorten(attribute(message).replace("&quot;", '"'), MAX_MESSAGE))
