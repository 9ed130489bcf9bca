"""Filters on metadata work in Milvus before the search, so a narrow one still fills the list that is reranked."""

from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
from qwen3_rag import RagConfig, load_models, make_index, open_store

PASSAGES = [
    ("Yeast makes the dough rise.", "baking", 2019),
    ("Sourdough makes dough rise without bought yeast.", "baking", 2024),
    ("Dough for salt figures must not rise, so it has no yeast.", "crafts", 2024),
]
config = RagConfig(uri="./metadata_filters.db", embed_model="tiny")
models = load_models(config)
store = open_store(config, models.identity, create=True)
index = make_index(store, models.embed)
index.insert_nodes([TextNode(text=t, metadata={"shelf": shelf, "year": year}) for t, shelf, year in PASSAGES])

filters = MetadataFilters(
    filters=[
        MetadataFilter(key="shelf", value="baking"),
        MetadataFilter(key="year", value=2020, operator=FilterOperator.GTE),
    ]
)
question = QueryBundle("What makes dough rise?")
found = index.as_retriever(similarity_top_k=10, filters=filters).retrieve(question)
for hit in models.rerank.postprocess_nodes(found, query_bundle=question):
    print(hit.node.metadata, hit.text)

# {'shelf': 'baking', 'year': 2024} Sourdough makes dough rise without bought yeast.
