"""LlamaIndex's five-line starter app. What it takes to run it on the pair are the two marked lines."""

from pathlib import Path

from llama_index.core import Settings, SimpleDirectoryReader, VectorStoreIndex
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

folder = Path("data")
folder.mkdir(exist_ok=True)
(folder / "bees.txt").write_text("Bees make honey from nectar. A hive stores it in wax cells for the winter.")
(folder / "bread.txt").write_text("Bread is baked from dough. Yeast makes the dough rise before it is baked.")

Settings.embed_model = Qwen3Embedding("tiny")  # 1: instead of the default embedding model

documents = SimpleDirectoryReader("data").load_data()
index = VectorStoreIndex.from_documents(documents)
query_engine = index.as_query_engine(node_postprocessors=[Qwen3Rerank("tiny", top_n=1)])  # 2: the second stage
response = query_engine.query("What makes dough rise?")
print(response)
print(response.source_nodes[0].metadata["file_name"])

# Yeast makes the dough rise before it is baked.
# bread.txt
