"""Answers that cite: LlamaIndex's CitationQueryEngine numbers what the reranker kept."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.query_engine import CitationQueryEngine
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

documents = [
    Document(text="Bees make honey from nectar. A hive stores it in wax cells for the winter."),
    Document(text="Bread is baked from dough. Yeast makes the dough rise before it goes into the oven."),
    Document(text="Tyres need air. A soft tyre wears out fast and makes the car drink more fuel."),
]
index = VectorStoreIndex.from_documents(documents, embed_model=Qwen3Embedding("tiny"))
engine = CitationQueryEngine.from_args(
    index,
    llm=OpenAI("gpt-4o-mini"),
    retriever=index.as_retriever(similarity_top_k=3),
    node_postprocessors=[Qwen3Rerank("tiny", top_n=2)],
)
response = engine.query("What makes dough rise?")
print(response)
print(response.source_nodes[0].text.strip())

# Yeast makes the dough rise before it goes into the oven. [1]
# Source 1:
# Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.
