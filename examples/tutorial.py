"""Two-stage retrieval step by step with LlamaIndex objects: load, split, embed, store, search, rerank, answer.

    python examples/tutorial.py                              # bundled model and documents, offline
    python examples/tutorial.py FAQ_FOLDER                   # the Milvus 2.4 FAQ: 72 chunks
    python examples/tutorial.py FAQ_FOLDER --model 0.6B      # the real weights, golden values beside

The answer needs OPENAI_API_KEY, or OPENAI_BASE_URL for another endpoint; without either the lists are the end.
"""

import argparse
import tempfile
from pathlib import Path

import qwen3_rag
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_rag import NoAnswerError, RagConfig, RagError, Session, load_models, open_store

QUESTION = "How is data stored in milvus?"
# The published pair of 0.6 billion parameters on the 72 chunks.
GOLDEN_DENSE = [
    (0.8307, "Where does Milvus store data?"),
    (0.7303, "How does Milvus flush data?"),
    (0.7004, "How does Milvus handle vector data types and precision?"),
]
GOLDEN_RERANKED = [
    (0.99979, "Where does Milvus store data?"),
    (0.99897, "How does Milvus flush data?"),
    (0.99840, "Does the query perform in memory? What are incremental data and historical data?"),
]


def load(folder: Path) -> list[TextNode]:
    """The Markdown files, cut at "# ": every heading, of whatever level, starts a chunk."""
    files = [path for path in sorted(folder.glob("*.md")) if path.name != "SOURCE.md"]
    chunks = [
        (f"{path.name}#{number}", text) for path in files for number, text in enumerate(path.read_text().split("# "))
    ]
    print(f"{len(chunks)} chunks from {len(files)} files")
    return [TextNode(id_=name, text=text) for name, text in chunks if text.strip()]


def show(title: str, hits: list[NodeWithScore], golden: list[tuple[float, str]]) -> None:
    print(f"\n{title}")
    for place, hit in enumerate(hits[:3]):
        beside = f"   golden: {golden[place][0]:.5f} {golden[place][1]}" if golden else ""
        print(f"  {hit.score:.5f}  {hit.node.get_content().strip().splitlines()[0][:70]}{beside}")


def main(folder: Path, model: str) -> None:
    nodes = load(folder)
    with tempfile.TemporaryDirectory() as scratch:
        config = RagConfig(embed_model=model, uri=f"{scratch}/tutorial.db")
        models = load_models(config)  # or build the two by hand:
        embed_model: Qwen3Embedding = models.embed
        rerank: Qwen3Rerank = models.rerank

        store = open_store(
            config, models.identity, create=True
        )  # a MilvusVectorStore: inner product, strong consistency
        storage = StorageContext.from_defaults(vector_store=store)
        index = VectorStoreIndex(nodes, storage_context=storage, embed_model=embed_model)
        retriever = index.as_retriever(similarity_top_k=10)

        real = config.embedder_name == "Qwen/Qwen3-Embedding-0.6B" and len(nodes) == 72
        candidates = retriever.retrieve(QUESTION)
        show("First stage: 10 candidates, the best 3", candidates, GOLDEN_DENSE if real else [])
        kept = rerank.postprocess_nodes(candidates, query_str=QUESTION)
        show("Second stage: reranked", kept, GOLDEN_RERANKED if real else [])
        try:
            print(f"\nAnswer: {Session(config, store, models).ask(QUESTION).answer}")  # all of this in one call
        except NoAnswerError as error:
            print(f"\nNo answer: {error.reason}")
        store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(qwen3_rag.__file__).parent / "knowledge")
    parser.add_argument("--model", default="tiny", help="tiny, 0.6B, 4B, 8B, a folder or a hub name")
    arguments = parser.parse_args()
    try:
        main(arguments.folder, arguments.model)
    except (RagError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
