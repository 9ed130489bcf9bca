"""Small pieces for the search, their parent where most of its pieces were found, and the reranker over the result."""

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.node_parser import HierarchicalNodeParser, get_leaf_nodes
from llama_index.core.retrievers import AutoMergingRetriever
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

BREAD = """Bread is baked from dough, which is flour and water kneaded until it is smooth and can be stretched.
Yeast makes the dough rise before it goes into the oven, because it turns sugar into gas and the gas makes bubbles.
In the oven the bubbles grow once more, and then the starch sets and keeps the crumb of the bread open and light."""
HONEY = """Bees make honey from nectar, which they suck from flowers and carry home in a stomach of its own.
In the hive they pass it on from mouth to mouth until it is thick, and fill it into cells that they build of wax.
During the long winter, when nothing blooms, the honey keeps the whole colony alive, and warm as well."""
nodes = HierarchicalNodeParser.from_defaults(chunk_sizes=[128, 52], chunk_overlap=0).get_nodes_from_documents(
    [Document(text=BREAD), Document(text=HONEY)]
)
storage = StorageContext.from_defaults()
storage.docstore.add_documents(nodes)
index = VectorStoreIndex(get_leaf_nodes(nodes), storage_context=storage, embed_model=Qwen3Embedding("tiny"))
retriever = AutoMergingRetriever(index.as_retriever(similarity_top_k=3), storage, simple_ratio_thresh=0.5)

question = "What makes bread dough rise?"
merged = retriever.retrieve(question)
best = Qwen3Rerank("tiny", top_n=1).postprocess_nodes(merged, query_str=question)
print(best[0].text)

# Bread is baked from dough, which is flour and water kneaded until it is smooth and can be stretched.
# Yeast makes the dough rise before it goes into the oven, because it turns sugar into gas and the gas makes bubbles.
# In the oven the bubbles grow once more, and then the starch sets and keeps the crumb of the bread open and light.
