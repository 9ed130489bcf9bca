"""Search by the sentence, answer from its surroundings: the reranker comes before the replacement."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.node_parser import SentenceWindowNodeParser
from llama_index.core.postprocessor import MetadataReplacementPostProcessor
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

TEXT = (
    "A hive is warm inside. Bees make honey from nectar. They store it in wax cells. Winter is long. "
    "Bread is baked from dough. Yeast makes the dough rise. The oven must be hot. A crust keeps it fresh."
)
parser = SentenceWindowNodeParser.from_defaults(window_size=1)
nodes = parser.get_nodes_from_documents([Document(text=TEXT)])
index = VectorStoreIndex(nodes, embed_model=Qwen3Embedding("tiny"))
retriever = index.as_retriever(similarity_top_k=5)
question = "What does yeast do to dough?"

found = Qwen3Rerank("tiny", top_n=1).postprocess_nodes(retriever.retrieve(question), query_str=question)
print("Found:", found[0].text.strip())
found = MetadataReplacementPostProcessor(target_metadata_key="window").postprocess_nodes(found)
print("Shown:", found[0].text.strip())

# Found: Yeast makes the dough rise.
# Shown: Bread is baked from dough.  Yeast makes the dough rise.  The oven must be hot.
