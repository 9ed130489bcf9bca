"""A query engine as an agent's tool: LlamaIndex's QueryEngineTool and FunctionAgent with the pair inside."""

import asyncio

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import QueryEngineTool
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

llm = OpenAI("gpt-4o-mini")
index = VectorStoreIndex.from_documents(
    [
        Document(text="Bees make honey from nectar. A hive stores it in wax cells for the winter."),
        Document(text="Bread is baked from dough. Yeast makes the dough rise before it goes into the oven."),
        Document(text="Tyres need air. A soft tyre wears out fast and makes the car drink more fuel."),
    ],
    embed_model=Qwen3Embedding("tiny"),
)
tool = QueryEngineTool.from_defaults(
    index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[Qwen3Rerank("tiny", top_n=1)]),
    name="handbook",
    description="Answers questions about bees, bread and tyres. Give it one complete question.",
)
agent = FunctionAgent(tools=[tool], llm=llm)


async def main() -> None:
    print(await agent.run("What makes dough rise?"))


asyncio.run(main())

# Yeast makes the dough rise before it goes into the oven.
