"""LlamaIndex's IngestionPipeline with two worker processes and a cache: the second run embeds nothing."""

from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.qwen3 import Qwen3Embedding

DOCUMENTS = [
    Document(text="Bees make honey from nectar. A hive stores it in wax cells for the winter."),
    Document(text="Bread is baked from dough. Yeast makes the dough rise before it goes into the oven."),
    Document(text="Tyres need air. A soft tyre wears out fast and makes the car drink more fuel."),
    Document(text="Sugar is pressed from cane or cooked from beets. Crystals form when the juice boils down."),
]


def make_pipeline() -> IngestionPipeline:
    return IngestionPipeline(transformations=[SentenceSplitter(), Qwen3Embedding("tiny")])


def main() -> None:
    pipeline = make_pipeline()
    nodes = pipeline.run(documents=DOCUMENTS, num_workers=2)  # each worker loads its own weights
    print(len(nodes), "nodes, all embedded:", all(node.embedding for node in nodes))
    pipeline.persist("./pipeline")

    again = make_pipeline()
    again.load("./pipeline")
    same = again.run(documents=DOCUMENTS, num_workers=2) == nodes
    print("the same nodes from the cache:", same)


if __name__ == "__main__":  # the workers import this file
    main()

# 4 nodes, all embedded: True
# the same nodes from the cache: True
