"""From passages to an answer, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import time

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.schema import NodeWithScore, TextNode
from qwen3_rag.config import RagConfig
from qwen3_rag.documents.readers import make_document
from qwen3_rag.errors import UnavailableError
from qwen3_rag.ingestion.pipeline import ingest_documents
from qwen3_rag.models import Models
from qwen3_rag.query.answer import CitedSynthesizer, escape, make_prompt
from qwen3_rag.query.engine import make_query_engine
from qwen3_rag.query.llm import make_llm, why_no_answer
from qwen3_rag.query.thinking import ThoughtFilter, without_thoughts
from support.hashing import IDENTITY, HashingEmbedding
from support.openai_server import OpenAIServer, Reply
from support.seeds import examples

from .conftest import OpenStore


def nodes(*texts: str) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text), score=1.0) for text in texts]


def config_for(server: OpenAIServer, **settings: object) -> RagConfig:
    return RagConfig(llm="test-model", llm_base_url=server.url, embed_model="tiny", **settings)  # type: ignore[arg-type]


def test_the_request_keeps_rules_passages_and_question_apart() -> None:
    with OpenAIServer([Reply("In object storage [1].")]) as server:
        response = CitedSynthesizer(make_llm(config_for(server))).synthesize("Where?", nodes("first", "second"))
    assert str(response) == "In object storage [1]."
    system, user = server.requests[0].messages
    assert system["role"] == "system"
    assert "nothing else" in system["content"]
    assert "[1]" in system["content"]
    assert user["content"] == "<context>\n[1] first\n\n[2] second\n</context>\n\n<question>\nWhere?\n</question>"
    assert server.requests[0].body["model"] == "test-model"


@pytest.mark.parametrize("tag", ["</context>", "< / CONTEXT >", "</question>", "<question>", "</Context\n>"])
def test_text_cannot_close_the_tags(tag: str) -> None:
    assert escape(f"a {tag} b") == f"a &lt;{tag[1:]} b"
    with OpenAIServer([Reply("ok")]) as server:
        CitedSynthesizer(make_llm(config_for(server))).synthesize(f"q {tag}", nodes(f"p {tag} {{query_str}}"))
    sent = server.requests[0].messages[1]["content"]
    assert tag not in sent.removeprefix("<context>").replace("<question>\nq", "").removesuffix("</question>").replace(
        "\n</context>\n", ""
    )
    assert "{query_str}" in sent, "braces in a passage are text"


def test_code_in_passages_stays_as_it_is() -> None:
    assert escape("if (a < b && c > d) <b>bold</b> <contextual>") == "if (a < b && c > d) <b>bold</b> <contextual>"


def test_the_prompt_is_overridable() -> None:
    with OpenAIServer([Reply("ok"), Reply("ok")]) as server:
        config = config_for(server, system_prompt="Be {brief}.")
        synthesizer = CitedSynthesizer(make_llm(config), make_prompt(config.system_prompt))
        synthesizer.synthesize("q", nodes("p"))
        own = ChatPromptTemplate.from_messages([("user", "{context_str} / {query_str}")])
        synthesizer.update_prompts({"text_qa_template": own})
        synthesizer.synthesize("q", nodes("p"))
    assert server.requests[0].messages[0]["content"] == "Be {brief}."
    assert server.requests[1].messages == [{"role": "user", "content": "[1] p / q"}]


def test_streaming_and_async() -> None:
    async def ask(config: RagConfig) -> str:
        return str(await CitedSynthesizer(make_llm(config)).asynthesize("q", nodes("p")))

    with OpenAIServer([Reply("one two three")] * 4) as server:
        config = config_for(server)
        stream = CitedSynthesizer(make_llm(config), streaming=True).synthesize("q", nodes("p"))
        pieces = [piece for piece in stream.response_gen if piece]  # type: ignore[union-attr]
        assert (len(pieces), "".join(pieces)) == (3, "one two three")
        assert server.requests[0].stream
        assert [asyncio.run(ask(config)) for _ in range(2)] == ["one two three"] * 2, "in one loop after another"


def test_the_query_engine_answers_with_its_sources(
    config: RagConfig, store_of: OpenStore, embed_model: HashingEmbedding
) -> None:
    store = store_of()
    ingest_documents(
        [make_document("Tea is green.", "tea.md", "text"), make_document("Dogs bark.", "dogs.md", "text")],
        store=store,
        embed_model=embed_model,
    )
    with OpenAIServer([Reply("Green [1].")] * 2) as server:
        config = config.model_copy(update={"llm_base_url": server.url, "llm": "test-model", "top_n": 1})
        engine = make_query_engine(config, store, Models(embed_model, IDENTITY, None))
        for response in (engine.query("green tea"), asyncio.run(engine.aquery("green tea"))):
            assert str(response) == "Green [1]."
            assert [hit.node.metadata["source"] for hit in response.source_nodes] == ["tea.md"]
        assert "source: tea.md" in server.requests[0].messages[1]["content"]
        assert "response_synthesizer:text_qa_template" in engine.get_prompts()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply("bad key", status=401), "refused the key"),
        (Reply("no such model", status=404), "status 404 for model 'test-model': "),
        (Reply("overloaded", status=500), "status 500"),
        (Reply("late", delay=3), "did not answer within 0.5 s; raise --llm-timeout"),
    ],
)
def test_why_there_is_no_answer(reply: Reply, said: str) -> None:
    with OpenAIServer(lambda _: reply) as server:
        config = config_for(server, llm_timeout=0.5)
        with pytest.raises(Exception) as caught:  # noqa: PT011  what the client raises is the point
            CitedSynthesizer(make_llm(config)).synthesize("q", nodes("p"))
        reason = why_no_answer(caught.value, config)
    assert reason is not None
    assert said in reason
    assert "\n" not in reason
    assert len(server.requests) <= 2, "one retry at most"


def completion(**message: object) -> str:
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]})


NO_ANSWERS = {
    "error object": (Reply(body='{"error": {"message": "model not loaded", "code": 503}}'), "model not loaded"),
    "error string": (Reply(body='{"error": "no such model"}'), "no such model"),
    "login page": (Reply(body="<html><b>Sign in</b></html>", content_type="text/html"), "Sign in"),
    "broken JSON": (Reply(body="{not json"), "no JSON"),
    "nothing at all": (Reply(body=""), "--llm-base-url"),
    "a list": (Reply(body="[]"), "without any answer"),
    "no choices": (Reply(body='{"choices": []}'), "without any answer"),
    "no message": (Reply(body='{"choices": [{"index": 0}]}'), "without any answer"),
    "empty content": (Reply(""), "wrote nothing"),
    "null content": (Reply(body=completion(content=None)), "wrote nothing"),
    "blank content": (Reply(" \n"), "wrote nothing"),
    "thoughts alone": (Reply("<think>\nWhat now?\n</think>\n"), "wrote nothing"),
    "thoughts without end": (Reply("<think>\nWhat now?"), "wrote nothing"),
    "thoughts in a field": (Reply("", reasoning="What now?"), "wrote nothing"),
}


@pytest.mark.parametrize("case", NO_ANSWERS)
@pytest.mark.parametrize("streaming", [False, True])
def test_what_is_no_answer_is_one_line(case: str, streaming: bool) -> None:
    reply, said = NO_ANSWERS[case]
    if streaming and case == "null content":
        said = "does not stream"
    with OpenAIServer(lambda _: reply) as server:
        config = config_for(server)
        with pytest.raises(UnavailableError) as caught:
            answer_of(config, streaming)
        reason = str(why_no_answer(caught.value, config))
        assert said in reason
        assert "--llm" in reason, "it names the option to change"
        assert "\n" not in reason
        assert len(server.requests) == 1, "asking again would not help"
        with pytest.raises(UnavailableError, match=re.escape(said)):
            asyncio.run(async_answer_of(config, streaming))


def answer_of(config: RagConfig, streaming: bool) -> str:
    response = CitedSynthesizer(make_llm(config), streaming=streaming).synthesize("q", nodes("p"))
    return "".join(response.response_gen) if streaming else str(response)  # type: ignore[union-attr]


async def async_answer_of(config: RagConfig, streaming: bool) -> str:
    response = await CitedSynthesizer(make_llm(config), streaming=streaming).asynthesize("q", nodes("p"))
    if not streaming:
        return str(response)
    return "".join([piece async for piece in response.async_response_gen()])  # type: ignore[union-attr]


@pytest.mark.parametrize("events", ["data: {not json\n\n", 'data: {"foo": 1}\n\n', "", 'data: "text"\n\n'])
def test_a_stream_of_something_else_is_one_line(events: str) -> None:
    with OpenAIServer(lambda _: Reply(body=events, content_type="text/event-stream")) as server:
        config = config_for(server)
        with pytest.raises(UnavailableError, match="--llm"):
            answer_of(config, streaming=True)


def test_an_error_in_the_stream_is_told() -> None:
    body = 'data: {"error": {"message": "context length exceeded"}}\n\n'
    with OpenAIServer(lambda _: Reply(body=body, content_type="text/event-stream")) as server:
        config = config_for(server)
        with pytest.raises(openai.OpenAIError) as caught:
            answer_of(config, streaming=True)
        assert "context length exceeded" in str(why_no_answer(caught.value, config))


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "reply", [Reply("<think>\nIs it [2] or [3]?\n</think>\n\nFour [1]."), Reply("Four [1].", reasoning="Is it [2]?")]
)
def test_thoughts_are_no_part_of_an_answer(reply: Reply, streaming: bool) -> None:
    with OpenAIServer(lambda _: reply) as server:
        assert answer_of(config_for(server), streaming) == "Four [1]."
        assert asyncio.run(async_answer_of(config_for(server), streaming)) == "Four [1]."


THOUGHTS = {
    "<think>a</think>b": "b",
    "\n <think>\na\n</think>\n\nb\n<think>c</think>\nd": "b\nd",
    "<thinking>a</thinking>b": "b",
    "<think>never ends": "",
    "Write `<think>` first, then </think>.": "Write `<think>` first, then </think>.",
    "a <b and <thick> text\n<th": "a <b and <thick> text\n<th",
}


@pytest.mark.parametrize("text", THOUGHTS)
@given(data=st.data())
@settings(max_examples=examples(50))
def test_thoughts_go_however_the_stream_is_cut(text: str, data: st.DataObject) -> None:
    assert without_thoughts(text) == THOUGHTS[text]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    stream = ThoughtFilter()
    shown = [stream.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join("".join([*shown, stream.end()]).split()) == "".join(THOUGHTS[text].split())


def test_a_lone_closing_tag_ends_thoughts() -> None:
    assert without_thoughts("The user asks for\n</think>\n\nFour [1].") == "Four [1]."


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"llm_base_url": "localhost:8000/v1"}, "--llm-base-url 'localhost:8000/v1'"),
        ({"llm_base_url": "http:///v1"}, "--llm-base-url"),
        ({"llm_base_url": "http://host\n/v1"}, "--llm-base-url"),
        ({"llm_base_url": "http://localhost/v1", "llm_api_key": "sk-secret\n"}, "OPENAI_API_KEY"),
        ({"llm_base_url": "http://localhost/v1", "llm_api_key": "sk-s\u00e9cret"}, "OPENAI_API_KEY"),
    ],
)
def test_settings_that_cannot_work_name_their_option(settings_: dict[str, str], said: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        make_llm(RagConfig(embed_model="tiny", **settings_))  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_base_url_without_its_version_is_told() -> None:
    with OpenAIServer([]) as server:
        config = config_for(server).model_copy(update={"llm_base_url": server.url.removesuffix("/v1")})
        with pytest.raises(openai.NotFoundError) as caught:
            answer_of(config, streaming=False)
    assert "--llm-base-url mostly ends in /v1" in str(why_no_answer(caught.value, config))


PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x"])
def test_loopback_endpoints_are_reached_past_any_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, proxy)
    with OpenAIServer(lambda _: Reply("Four.")) as server:
        assert answer_of(config_for(server), streaming=False) == "Four."
        assert asyncio.run(async_answer_of(config_for(server), streaming=True)) == "Four."


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://x"])
def test_a_proxy_that_cannot_be_used_names_the_variables(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    config = RagConfig(embed_model="tiny", llm_base_url="http://llm.example/v1")
    with pytest.raises(UnavailableError, match=r"ALL_PROXY.*NO_PROXY"):
        answer_of(config, streaming=False)


def test_a_dead_endpoint_is_given_up_soon() -> None:
    config = RagConfig(llm_base_url="http://127.0.0.1:9/v1", embed_model="tiny")
    started = time.monotonic()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        CitedSynthesizer(make_llm(config)).synthesize("q", nodes("p"))
    assert time.monotonic() - started < 10
    assert "cannot be reached" in str(why_no_answer(caught.value, config))


def test_a_stream_that_breaks_off_has_a_reason() -> None:
    with OpenAIServer([Reply("one two three", cut_after=2)] * 2) as server:
        config = config_for(server)
        stream = CitedSynthesizer(make_llm(config), streaming=True).synthesize("q", nodes("p"))
        with pytest.raises(httpx.HTTPError) as caught:
            list(stream.response_gen)  # type: ignore[union-attr]
        assert why_no_answer(caught.value, config)


def test_without_key_and_endpoint_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="OPENAI_API_KEY"):
        make_llm(RagConfig(embed_model="tiny"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert make_llm(RagConfig(embed_model="tiny")).metadata.model_name == "gpt-4o"
    assert why_no_answer(KeyError("a bug"), RagConfig()) is None


def test_the_key_is_sent_and_unknown_models_are_chat_models() -> None:
    with OpenAIServer([Reply("ok")]) as server:
        llm = make_llm(config_for(server, llm_api_key="sk-mine"))
        assert llm.metadata.is_chat_model
        llm.complete("hi")
    assert server.requests[0].headers["authorization"] == "Bearer sk-mine"
