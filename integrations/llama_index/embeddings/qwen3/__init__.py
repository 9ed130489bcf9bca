from llama_index.embeddings.qwen3.base import Qwen3Embedding
from llama_index.embeddings.qwen3.generated import DocumentText, GeneratedDocuments
from qwen3_inference import use_instruction

__all__ = ["DocumentText", "GeneratedDocuments", "Qwen3Embedding", "use_instruction"]
