"""What reranking moved, as a page that can be mailed: `qwen3-rag compare "..." --html page.html` from code."""

from pathlib import Path

from qwen3_rag import RagConfig, Session, make_document
from qwen3_rag.pages.comparison import comparison_page

TEXTS = [
    "Dough is kneaded until it is smooth, and kneaded again.",
    "Tyres are filled with air.",
    "Yeast turns sugar into gas, and the dough rises.",
]
with Session(RagConfig(uri="./comparison_page.db", embed_model="tiny", top_k=3)) as session:
    session.ingest_documents(make_document(text, f"note {number}", "text") for number, text in enumerate(TEXTS))
    result = session.search("Why does dough rise?", top_n=3)
    page = comparison_page(result, {"collection": "docs", "embedding": "tiny", "reranker": "tiny"})
    Path("page.html").write_text(page, encoding="utf-8")
    print(page.count("<article"), "passages,", result.best[0].source, "first;", page.count("<mark>"), "words marked")

# 3 passages, note 2 first; 4 words marked
