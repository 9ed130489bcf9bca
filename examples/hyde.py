"""HyDE: the passage that the language model imagines is embedded as a document, the question as a query."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.query_engine import TransformQueryEngine
from llama_index.embeddings.qwen3 import GeneratedDocuments, Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

documents = [
    Document(text="Bees make honey from nectar. A hive stores it in wax cells for the winter."),
    Document(text="Bread is baked from dough. Yeast makes the dough rise before it goes into the oven."),
    Document(text="Tyres need air. A soft tyre wears out fast and makes the car drink more fuel."),
]
llm = OpenAI("gpt-4o-mini")
index = VectorStoreIndex.from_documents(documents, embed_model=Qwen3Embedding("tiny"))
engine = index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[Qwen3Rerank("tiny", top_n=1)])
hyde = GeneratedDocuments(HyDEQueryTransform(llm=llm, include_original=True))
print(TransformQueryEngine(engine, hyde).query("What makes dough rise?"))

# Yeast makes the dough rise before it goes into the oven.
