"""OpenAI's client for any endpoint that speaks its protocol, with answers that are none found out by what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import httpx
import openai
from llama_index.core.base.llms.types import ChatMessage, ChatResponseAsyncGen, ChatResponseGen, LLMMetadata
from llama_index.llms.openai import OpenAI

from qwen3_rag.addresses import is_loopback
from qwen3_rag.errors import UnavailableError
from qwen3_rag.query.phrasing import one_line

CONTEXT_WINDOW = 32_768
"""Assumed of models that the OpenAI client does not know."""
CONNECT_SECONDS = 5.0
_ONE_CALL = httpx.Limits(max_keepalive_connections=0)
"""A client is made for each call: no connection is of use after it."""


class NoAnswerError(openai.OpenAIError, UnavailableError):
    """The endpoint answered, and it is no answer. The message says what came instead, and what to change."""


class CompatibleOpenAI(OpenAI):
    """OpenAI's client for any endpoint: model names it does not know are chat models.

    Loopback endpoints are reached directly, whatever the proxy variables say.
    """

    @classmethod
    def class_name(cls) -> str:
        return "compatible_openai_llm"

    @property
    def metadata(self) -> LLMMetadata:
        try:
            return super().metadata
        except ValueError:
            return LLMMetadata(
                context_window=CONTEXT_WINDOW,
                num_output=self.max_tokens or -1,
                is_chat_model=True,
                is_function_calling_model=True,
                model_name=self.model,
            )

    def _get_credential_kwargs(self, is_async: bool = False) -> dict[str, Any]:
        given = super()._get_credential_kwargs(is_async)
        given["timeout"] = httpx.Timeout(self.timeout, connect=min(self.timeout, CONNECT_SECONDS))
        if given["http_client"] is None:
            made: type[_Client | _AsyncClient] = _AsyncClient if is_async else _Client
            given["http_client"] = _with_proxies(made, direct=is_loopback(self.api_base or ""))
        return given

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The base class leaves the client of a stream that breaks off, or is left, to the garbage collector."""
        one = self.model_copy(update={"reuse_client": True})
        one._client = client = self._get_client()
        with client:
            yield from super(CompatibleOpenAI, one)._stream_chat(messages, **kwargs)

    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        one = self.model_copy(update={"reuse_client": True})
        one._aclient = client = self._get_aclient()

        async def responses() -> ChatResponseAsyncGen:
            async with client:
                async for response in await super(CompatibleOpenAI, one)._astream_chat(messages, **kwargs):
                    yield response

        return responses()

    @property
    def _tokenizer(self) -> None:
        """None: counting tokens is for completion models, and would fetch a vocabulary for names it does not know."""
        return


class _Client(openai.DefaultHttpxClient):
    def __init__(self, trust_env: bool) -> None:
        super().__init__(trust_env=trust_env, event_hooks={"response": [_check]}, limits=_ONE_CALL)


class _AsyncClient(openai.DefaultAsyncHttpxClient):
    def __init__(self, trust_env: bool) -> None:
        super().__init__(trust_env=trust_env, event_hooks={"response": [_acheck]}, limits=_ONE_CALL)


def _with_proxies(made: type[_Client | _AsyncClient], *, direct: bool) -> _Client | _AsyncClient:
    try:
        return made(trust_env=not direct)
    except (ImportError, ValueError) as error:
        reason = "a SOCKS proxy needs `pip install 'httpx[socks]'`" if isinstance(error, ImportError) else str(error)
        raise UnavailableError(
            f"the proxy of the environment cannot be used: {reason}; change ALL_PROXY, HTTPS_PROXY or HTTP_PROXY, or "
            "name the host of --llm-base-url in NO_PROXY"
        ) from error


def _check(response: httpx.Response) -> None:
    if _is_suspect(response):
        response.read()
        _refuse(response)


async def _acheck(response: httpx.Response) -> None:
    if _is_suspect(response):
        await response.aread()
        _refuse(response)


def _is_suspect(response: httpx.Response) -> bool:
    return response.is_success and not response.headers.get("content-type", "").startswith("text/event-stream")


def _refuse(response: httpx.Response) -> None:
    """Raise NoAnswerError unless this is a completion that was asked for."""
    where = f"{response.url.scheme}://{response.url.netloc.decode()}"
    try:
        found = json.loads(response.content)
    except ValueError:
        kind = response.headers.get("content-type", "no type").split(";")[0]
        raise NoAnswerError(
            f"{where} answered with no JSON ({kind}): {one_line(re.sub(r'<[^<>]*>', ' ', response.text))}; "
            "check --llm-base-url: it mostly ends in /v1"
        ) from None
    choices = found.get("choices") if isinstance(found, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
        error = found.get("error") if isinstance(found, dict) else None
        said = error.get("message") if isinstance(error, dict) else error
        what = f"an error instead of an answer: {one_line(str(said))}" if said else "JSON without any answer in it"
        raise NoAnswerError(f"{where} answered with {what}; check --llm and --llm-base-url")
    if json.loads(response.request.content or b"{}").get("stream"):
        raise NoAnswerError(f"{where} does not stream; leave out --stream, or change --llm-base-url")
