from llama_index.postprocessor.qwen3_rerank.base import Qwen3Rerank
from qwen3_inference import use_instruction

__all__ = ["Qwen3Rerank", "use_instruction"]
