"""Where the time of a question goes: retrieval and rerank as OpenTelemetry spans, offline.

Needs `pip install llama-index-observability-otel`. Any exporter will do: Jaeger, Grafana, Phoenix, the console.
"""

import sys

from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.observability.otel import LlamaIndexOpenTelemetry
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
LlamaIndexOpenTelemetry(span_exporter=spans, span_processor="simple").start_registering()

texts = ["Bread is baked from dough.", "Tyres need air.", "Bees make honey from nectar."]
embed_model, rerank = Qwen3Embedding("tiny"), Qwen3Rerank("tiny", top_n=1)
index = VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=embed_model)
retriever, question = index.as_retriever(similarity_top_k=3), "How is bread baked?"
rerank.postprocess_nodes(retriever.retrieve(question), query_str=question)  # loads the weights
spans.clear()

found = retriever.retrieve(question)
print(rerank.postprocess_nodes(found, query_str=question)[0].text)
for span in spans.get_finished_spans():
    print(span.name.partition("-")[0], flush=True)
    print(f"  {(span.end_time - span.start_time) / 1e6:.1f} ms", file=sys.stderr)  # other numbers every time

# Bread is baked from dough.
# Qwen3Embedding.get_query_embedding
# VectorIndexRetriever._retrieve
# VectorIndexRetriever.retrieve
# Qwen3Rerank._postprocess_nodes
