"""Vectors and BM25 side by side in Milvus, fused, then reranked: an error number is found by its letters."""

from qwen3_rag import RagConfig, Session, make_document

TEXTS = [
    "E-4711: the database folder is locked by another process.",
    "E-4712: the network address cannot be reached.",
    "E-9034: the disk is full and nothing can be written.",
    "A database keeps its folder locked while it is open.",
]
config = RagConfig(uri="./hybrid_search.db", embed_model="tiny", hybrid=True, mode="hybrid", top_k=4, top_n=1)
with Session(config) as session:
    session.ingest_documents(make_document(text, f"note {number}", "text") for number, text in enumerate(TEXTS))
    print(session.search("What does error E-9034 mean?").best[0].text)

# E-9034: the disk is full and nothing can be written.
