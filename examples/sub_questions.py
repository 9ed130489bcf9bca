"""A question over two sources, split into one for each. LLMQuestionGenerator is in core: no further package."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.tools import QueryEngineTool
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

llm, embed_model, rerank = OpenAI("gpt-4o-mini"), Qwen3Embedding("tiny"), Qwen3Rerank("tiny", top_n=1)
SOURCES = {
    "bakery": ["Bread needs an oven of 230 degrees.", "Rye bread keeps for a week."],
    "pottery": ["Clay needs an oven of 1000 degrees.", "A glaze makes a pot waterproof."],
}
tools = []
for name, texts in SOURCES.items():
    index = VectorStoreIndex.from_documents([Document(text=text) for text in texts], embed_model=embed_model)
    engine = index.as_query_engine(llm=llm, node_postprocessors=[rerank])
    tools.append(QueryEngineTool.from_defaults(engine, name=name, description=f"What the {name} knows"))

engine = SubQuestionQueryEngine.from_defaults(
    tools, llm=llm, question_gen=LLMQuestionGenerator.from_defaults(llm), verbose=False
)
response = engine.query("How hot is the oven, in degrees?")
for node in response.source_nodes[: len(tools)]:
    print(node.text)
print("Answer:", response)

# Sub question: How hot is the oven, in degrees?
# Response: Bread needs an oven of 230 degrees.
# Sub question: How hot is the oven, in degrees?
# Response: Clay needs an oven of 1000 degrees.
# Answer: Bread needs an oven of 230 degrees.
