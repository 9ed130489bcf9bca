"""The MCP server `qwen3-rag mcp` as tools of a LlamaIndex agent (pip install llama-index-tools-mcp)."""

import asyncio
import subprocess
from pathlib import Path

from llama_index.tools.mcp import McpToolSpec
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

Path("food").mkdir(exist_ok=True)
Path("food/bread.md").write_text("# Bread\n\nYeast makes the dough rise before it goes into the oven.")
Path("food/bees.md").write_text("# Bees\n\nA hive stores honey in wax cells for the winter.")
OPTIONS = ["--uri", "./mcp_client.db", "--embed-model", "tiny"]
subprocess.run(["qwen3-rag", "ingest", "food", "--quiet", *OPTIONS], check=True)


async def main() -> None:
    parameters = StdioServerParameters(command="qwen3-rag", args=["mcp", *OPTIONS])
    async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
        await session.initialize()
        tools = await McpToolSpec(session).to_tool_list_async()  # hand these to a FunctionAgent
        print(sorted(tool.metadata.name for tool in tools))
        search = next(tool for tool in tools if tool.metadata.name == "search")
        result = await search.acall(query="What makes dough rise?", top_n=1)
        for row in result.raw_output.structured_content["results"]:
            print(row["source"], "->", row["text"].splitlines()[-1])


asyncio.run(main())

# ['ask', 'describe_collection', 'get_outline', 'get_passages', 'list_sources', 'search']
# food/bread.md -> Yeast makes the dough rise before it goes into the oven.
