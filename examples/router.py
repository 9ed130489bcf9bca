"""Routing by meaning: the question is embedded as a query, the descriptions of the engines as documents."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.selectors import EmbeddingSingleSelector
from llama_index.core.tools import QueryEngineTool
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

llm, embed_model, rerank = OpenAI("gpt-4o-mini"), Qwen3Embedding("tiny"), Qwen3Rerank("tiny", top_n=1)
SHELVES = {
    "Baking, cooking and recipes: bread, dough, sugar, honey.": [
        "Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.",
        "Sugar is pressed from cane or cooked from beets. Crystals form when the juice boils down.",
    ],
    "Cars and driving: tyres, engines, brakes, fuel.": [
        "Tyres need air. A soft tyre wears out fast and makes the car drink more fuel.",
        "Brakes turn motion into heat. Worn pads squeal and should be replaced in pairs.",
    ],
}
tools = []
for description, texts in SHELVES.items():
    index = VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=embed_model)
    engine = index.as_query_engine(llm=llm, node_postprocessors=[rerank])
    tools.append(QueryEngineTool.from_defaults(engine, description=description))

router = RouterQueryEngine(EmbeddingSingleSelector.from_defaults(embed_model), tools, llm=llm)
for question in ("What makes bread dough rise?", "When should brake pads be replaced?"):
    response = router.query(question)
    print(tools[response.metadata["selector_result"].ind].metadata.description.split(":")[0], "->", response)

# Baking, cooking and recipes -> Yeast makes the dough rise before it goes into the oven.
# Cars and driving -> Worn pads squeal and should be replaced in pairs.
