"""Several phrasings of a question fused: called synchronously inside a running loop (a notebook), then awaited."""

import asyncio

from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.llms.openai import OpenAI
from qwen3_rag import RagConfig, load_models, make_index, open_store

TEXTS = [
    "Bees make honey from nectar. A hive stores it in wax cells for the winter.",
    "Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.",
    "Tyres need air. A soft tyre wears out fast and makes the car drink more fuel.",
]
QUESTION = "What makes dough rise?"
config = RagConfig(uri="./query_fusion.db", embed_model="tiny", top_n=1)
models = load_models(config)
store = open_store(config, models.identity, create=True)
index = make_index(store, models.embed)
index.insert_nodes([TextNode(text=text) for text in TEXTS])
fusion = QueryFusionRetriever(
    [index.as_retriever(similarity_top_k=3)],
    llm=OpenAI("gpt-4o-mini", reuse_client=False),
    num_queries=3,
    similarity_top_k=3,
    use_async=True,
)


async def main() -> None:
    for found in (fusion.retrieve(QUESTION), await fusion.aretrieve(QUESTION)):
        print((await models.rerank.apostprocess_nodes(found, QueryBundle(QUESTION)))[0].text)


asyncio.run(main())

# Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.
# Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.
