"""Asynchronous and streamed queries from one store, on as many event loops as you like (notebooks, FastAPI, agents)."""

import asyncio

from llama_index.core.schema import TextNode
from llama_index.llms.openai import OpenAI
from qwen3_rag import RagConfig, load_models, make_index, open_store

TEXTS = [
    "Bees make honey from nectar. A hive stores it in wax cells for the winter.",
    "Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.",
    "Tyres need air. A soft tyre wears out fast and makes the car drink more fuel.",
]
llm = OpenAI("gpt-4o-mini", reuse_client=False)  # a client that is kept belongs to one event loop
models = load_models(config := RagConfig(uri="./query_engine_async.db", embed_model="tiny"))
store = open_store(config, models.identity, create=True)  # MilvusVectorStore's own async client belongs to one loop too
index = make_index(store, models.embed)
index.insert_nodes([TextNode(text=text) for text in TEXTS])
engine = index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[models.rerank])
streaming = index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[models.rerank], streaming=True)


async def main() -> None:
    for response in await asyncio.gather(engine.aquery("What makes dough rise?"), engine.aquery("What do tyres need?")):
        print(response)
    async for piece in (await streaming.aquery("What does a hive keep in wax cells?")).async_response_gen():
        print(piece, end="", flush=True)
    print()


asyncio.run(main())
asyncio.run(main())  # a second event loop: the same store, engine and models go on working

# Yeast makes the dough rise before it goes into the oven.
# Tyres need air.
# A hive stores it in wax cells for the winter.
# Yeast makes the dough rise before it goes into the oven.
# Tyres need air.
# A hive stores it in wax cells for the winter.
