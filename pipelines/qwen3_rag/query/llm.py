"""The configured language model, and what its errors mean. Importing this imports OpenAI's client."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

import httpx
import openai
from llama_index.core.llms import LLM

from qwen3_rag.addresses import without_password
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import UnavailableError
from qwen3_rag.query.llm_client import CompatibleOpenAI
from qwen3_rag.query.phrasing import one_line

_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)


def make_llm(config: RagConfig) -> LLM:
    """The configured language model. One retry and `llm_timeout` bound how long a dead endpoint is waited for.

    Raises:
        UnavailableError: no key is set, and no endpoint that might do without one.
    """
    key = config.llm_api_key.get_secret_value() if config.llm_api_key else os.environ.get("OPENAI_API_KEY")
    base_url = config.llm_base_url or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    if not key and not base_url:
        raise UnavailableError(
            "no key for the language model; set OPENAI_API_KEY, or give --llm-base-url for an endpoint of your own"
        )
    if key and not (key.isascii() and key.isprintable()):
        raise UnavailableError(
            "the key of the language model holds a line break or another letter that HTTP cannot send; "
            "check OPENAI_API_KEY (or QWEN3_RAG_LLM_API_KEY)"
        )
    if base_url and not _URL.fullmatch(base_url):
        raise UnavailableError(
            f"--llm-base-url {without_password(base_url)!r} is no URL; give one like http://localhost:8000/v1"
        )
    return CompatibleOpenAI(
        model=config.llm,
        api_key=key or "none",
        api_base=base_url,
        timeout=config.llm_timeout,
        max_retries=1,
        reuse_client=False,  # a kept async client is bound to the event loop of its first call
    )


def why_no_answer(error: Exception, config: RagConfig) -> str | None:
    """One line for an error of the language model, None for any other error."""
    if isinstance(error, UnavailableError):
        return str(error)
    base_url = config.llm_base_url or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    where = without_password(base_url) if base_url else "the OpenAI API"
    if isinstance(error, openai.APITimeoutError | httpx.TimeoutException):
        return f"{where} did not answer within {config.llm_timeout:g} s; raise --llm-timeout, or see --llm-base-url"
    if isinstance(error, openai.APIConnectionError):
        return f"{where} cannot be reached; check the network, or give another --llm-base-url"
    if isinstance(error, openai.AuthenticationError):
        return f"{where} refused the key; check OPENAI_API_KEY"
    if isinstance(error, openai.APIStatusError):
        hint = ""
        if error.status_code in (404, 405) and not re.search(r"/v\d", urlsplit(base_url or "/v1").path):
            hint = "; --llm-base-url mostly ends in /v1"
        message = one_line(str(error.message))
        return f"{where} answered with status {error.status_code} for model {config.llm!r}: {message}{hint}"
    if isinstance(error, openai.OpenAIError | httpx.HTTPError):
        return f"{where}: {one_line(str(error))}; see --llm and --llm-base-url"
    return None
