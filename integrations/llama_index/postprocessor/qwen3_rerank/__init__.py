from llama_index.postprocessor.qwen3_rerank.base import Qwen3Rerank, RankedDocument
from qwen3_inference import use_instruction

__all__ = ["Qwen3Rerank", "RankedDocument", "use_instruction"]
