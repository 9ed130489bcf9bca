"""A conversation over documents: the follow-up is made a question of its own before both stages see it."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.llms.openai import OpenAI
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank

documents = [
    Document(text="Bees make honey from nectar. They store it in wax cells for the winter."),
    Document(text="Bread is baked from dough. Yeast makes the dough rise before it goes into the oven."),
    Document(text="Tyres need air. A soft tyre wears out fast and makes the car drink more fuel."),
]
index = VectorStoreIndex.from_documents(documents, embed_model=Qwen3Embedding("tiny"))
chat = index.as_chat_engine(
    chat_mode="condense_plus_context",
    llm=OpenAI("gpt-4o-mini"),
    similarity_top_k=3,
    node_postprocessors=[Qwen3Rerank("tiny", top_n=1)],
)
print(chat.chat("What do bees make honey from?"))
response = chat.stream_chat("Where do they store it?")
for piece in response.response_gen:
    print(piece, end="", flush=True)
print()

# Bees make honey from nectar.
# They store it in wax cells for the winter.
