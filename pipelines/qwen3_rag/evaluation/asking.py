"""One call to the configured language model: a system message and a user's, and the text of the answer."""

from __future__ import annotations

import re
from collections.abc import Callable

from llama_index.core.llms import LLM, ChatMessage, MessageRole

from qwen3_rag.config import RagConfig
from qwen3_rag.explain import explain
from qwen3_rag.query.llm import make_llm

Ask = Callable[[str, str], str]
"""System and user message to the answer."""
_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def asking(config: RagConfig, llm: LLM | None = None) -> Ask:
    """The configured language model, or `llm`, as a function. Its thinking is not part of the answer.

    Raises:
        UnavailableError: when it is called and the model cannot be had.
    """

    def ask(system: str, user: str) -> str:
        messages = [
            ChatMessage(role=MessageRole.SYSTEM, content=system),
            ChatMessage(role=MessageRole.USER, content=user),
        ]
        try:
            reply = (llm or make_llm(config)).chat(messages)
        except Exception as error:
            known = explain(error, config)
            if known is None:
                raise
            raise known from error
        return _THINKING.sub("", reply.message.content or "").strip()

    return ask
