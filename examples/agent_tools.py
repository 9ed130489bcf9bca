"""An agent that looks things up: the tools `search`, `ask` and `get_passages` over passages in Milvus."""

import asyncio

from llama_index.core.agent.workflow import FunctionAgent, ToolCall
from llama_index.core.schema import TextNode
from llama_index.llms.openai import OpenAI
from qwen3_rag import RagConfig, load_models, make_index, make_tools, open_store

PASSAGES = {
    "bees.md": "Bees make honey from nectar. A hive stores it in wax cells for the winter.",
    "bread.md": "Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.",
    "tyres.md": "Tyres need air. A soft tyre wears out fast and makes the car drink more fuel.",
}
config = RagConfig(uri="./agent_tools.db", embed_model="tiny")
models = load_models(config)
store = open_store(config, models.identity, create=True)
nodes = [TextNode(text=text, metadata={"source": source}) for source, text in PASSAGES.items()]
make_index(store, models.embed).insert_nodes(nodes)

llm = OpenAI("gpt-4o-mini")
agent = FunctionAgent(tools=make_tools(config, store, models, llm=llm), llm=llm, system_prompt="Cite your sources.")


async def main() -> None:
    handler = agent.run("What makes dough rise?")
    async for event in handler.stream_events():
        if isinstance(event, ToolCall):
            print(event.tool_name, event.tool_kwargs)
    print(await handler)


asyncio.run(main())

# search {'query': 'What makes dough rise?'}
# Yeast makes the dough rise before it goes into the oven. (bread.md)
