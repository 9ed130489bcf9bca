"""The pair in LlamaIndex's query engines over an untouched MilvusVectorStore: at once and streamed."""

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from llama_index.vector_stores.milvus import MilvusVectorStore

documents = [
    Document(text="Bees make honey from nectar. A hive stores it in wax cells for the winter."),
    Document(text="Bread is baked from dough. Yeast makes the dough rise before it goes into the oven."),
    Document(text="Tyres need air. A soft tyre wears out fast and makes the car drink more fuel."),
]
llm = OpenAI("gpt-4o-mini")
embed_model = Qwen3Embedding("tiny")  # or "Qwen/Qwen3-Embedding-0.6B"
rerank = Qwen3Rerank("tiny", top_n=2)  # or "Qwen/Qwen3-Reranker-0.6B"

dimension = len(embed_model.get_query_embedding("any"))
milvus = MilvusVectorStore("./query_engine.db", dim=dimension, overwrite=True)
storage = StorageContext.from_defaults(vector_store=milvus)
index = VectorStoreIndex.from_documents(documents, storage_context=storage, embed_model=embed_model)

engine = index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[rerank])
response = engine.query("What makes dough rise?")
print(response)
print("Best source:", response.source_nodes[0].text)

retriever = index.as_retriever(similarity_top_k=3)
engine = RetrieverQueryEngine.from_args(retriever, llm=llm, node_postprocessors=[rerank], streaming=True)
engine.query("What does a hive keep in wax cells?").print_response_stream()

# Yeast makes the dough rise before it goes into the oven.
# Best source: Bread is baked from dough. Yeast makes the dough rise before it goes into the oven.
# A hive stores it in wax cells for the winter.
