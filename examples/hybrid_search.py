"""Vectors and BM25 side by side in Milvus, fused, then reranked: an error number is found by its letters."""

from llama_index.core.schema import QueryBundle, TextNode
from qwen3_rag import RagConfig, load_models, make_index, make_retriever, open_store

TEXTS = [
    "E-4711: the database folder is locked by another process.",
    "E-4712: the network address cannot be reached.",
    "E-9034: the disk is full and nothing can be written.",
    "A database keeps its folder locked while it is open.",
]
config = RagConfig(uri="./hybrid_search.db", embed_model="tiny", hybrid=True, mode="hybrid", top_k=4, top_n=1)
models = load_models(config)
store = open_store(config, models.identity, create=True)
make_index(store, models.embed).insert_nodes([TextNode(text=text) for text in TEXTS])

question = QueryBundle("What does error E-9034 mean?")
found = make_retriever(config, store, models.embed).retrieve(question)
print(models.rerank.postprocess_nodes(found, query_bundle=question)[0].text)

# E-9034: the disk is full and nothing can be written.
