"""One agent tool: checked arguments in, a result of bounded size out, errors as results that say what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.tools import FunctionTool, ToolOutput
from llama_index.core.tools.types import ToolMetadata
from pydantic import BaseModel

from qwen3_rag.agents.failures import Explain, ToolError, failure


@dataclass(frozen=True)
class AgentTool:
    """What an agent may call, apart from how: `to_function_tool` is LlamaIndex's form, the MCP server has its own.

    Args:
        arguments: model of the arguments, whose descriptions the agent reads. The first one may come without its name.
        result: model of the result.
        run: arguments to result; `arun` the same, awaited.
        explain: one line for errors that a caller can act on, None for bugs.
        title: what people read on a button.
        writes: it changes the collection.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    result: type[BaseModel]
    run: Callable[[Any], BaseModel]
    arun: Callable[[Any], Awaitable[BaseModel]]
    explain: Explain | None = None
    title: str = ""
    writes: bool = False

    def call(self, *args: Any, **kwargs: Any) -> BaseModel:
        """The result, or a `ToolError`. Raises nothing."""
        try:
            return self.run(self._parse(args, kwargs))
        except Exception as error:
            return failure(error, self.name, self.explain)

    async def acall(self, *args: Any, **kwargs: Any) -> BaseModel:
        """The same, awaited."""
        try:
            return await self.arun(self._parse(args, kwargs))
        except Exception as error:
            return failure(error, self.name, self.explain)

    def to_function_tool(self) -> FunctionTool:
        """The tool for LlamaIndex's agents."""

        def mark(result: BaseModel) -> ToolOutput | None:
            """Failures are marked as such, for agents that look at it; LlamaIndex makes the output of anything else."""
            if not isinstance(result, ToolError):
                return None
            return ToolOutput(tool_name=self.name, content=str(result), raw_input={}, raw_output=result, is_error=True)

        async def amark(result: BaseModel) -> ToolOutput | None:
            return mark(result)

        metadata = ToolMetadata(description=self.description, name=self.name, fn_schema=self.arguments)
        return FunctionTool(fn=self.call, async_fn=self.acall, metadata=metadata, callback=mark, async_callback=amark)

    def _parse(self, args: Sequence[Any], kwargs: dict[str, Any]) -> BaseModel:
        first = next(iter(self.arguments.model_fields), "argument")
        return self.arguments.model_validate({**({first: args[0]} if args else {}), **kwargs})
