"""A model for `OpenAIServer`: it knows nothing, and answers only from what it was sent.

It quotes the sentence that shares most words with the question, with the number or the source it stood under; given
tools it first calls the one whose description fits the question best, with the question as it is. So a wrong passage,
a mangled question or a lost tool result gives a wrong answer, and a test that checks the answer fails.
"""

import json
import re
from typing import Any

from support.openai_server import Reply, Request, ToolCall

NOTHING = "I do not know."
_WORD = re.compile(r"\w+")
_PASSAGE = re.compile(r'(?s)<passage [^>]*?source="([^"]*)"[^>]*>\n(.*?)\n</passage>')
_NUMBER = re.compile(r"^(?:Source (\d+):|\[(\d+)\])")
_STOP = {"a", "an", "and", "are", "as", "be", "can", "do", "does", "for", "from", "how", "in", "is", "it", "of", "on"}
_STOP |= {"or", "that", "the", "to", "what", "when", "which", "why", "with"}


def grounded(request: Request) -> Reply:
    """One reply; which task it is shows in the prompts, which are LlamaIndex's own."""
    messages = [(message["role"], _text(message)) for message in request.messages]
    role, last = messages[-1]
    if role == "tool":
        return Reply(_from_tools(_question(messages), [text for kind, text in messages if kind == "tool"]))
    if request.body.get("tools"):
        return _call(last, [tool["function"] for tool in request.body["tools"]])
    if (found := re.search(r"Generate (\d+) search queries.*\nQuery: (.*)\n", last)) is not None:
        return Reply("\n".join([f"{found[2]} explained", f"definition: {found[2]}"][: int(found[1])]))
    if "output a list of relevant sub-questions" in last:
        return Reply(_sub_questions(last))
    if "Please write a passage to answer the question" in last:
        return Reply(f"This passage explains it: {_between(last, 'possible.', 'Passage:')}")
    if "Standalone question:" in last:
        return Reply(_standalone(last))
    context, question = _context(messages)
    return Reply(best_sentence(question, context))


def best_sentence(question: str, context: str) -> str:
    """The sentence of the context with most of the question's words, and its citation where the context has numbers."""
    wanted = _words(question)
    best, score = NOTHING, 0.0
    number = ""
    for line in context.splitlines():
        if mark := _NUMBER.match(line.strip()):
            number = f" [{mark[1] or mark[2]}]"
            line = line.strip()[mark.end() :]
        line = line.removeprefix("Response: ")
        if line.lstrip().startswith(("#", "Sub question:")) or re.match(r"^\w+: \S+$", line):
            continue  # a heading or a line of metadata is no sentence
        for sentence in re.findall(r"[^.!?]+[.!?]", line):
            here = _words(sentence)
            shared = sum(1.0 / (1 + len(here) / 50) for word in wanted if word in here)
            if shared > score:
                best, score = sentence.strip() + number, shared
    return best


def _call(question: str, tools: list[dict[str, Any]]) -> Reply:
    wanted = _words(question)
    tool = max(tools, key=lambda one: len(wanted & _words(one["description"])))
    names = list(tool["parameters"]["properties"])
    return Reply(tool_calls=[ToolCall(tool["name"], {"query" if "query" in names else names[0]: question})])


def _from_tools(question: str, results: list[str]) -> str:
    """The best sentence of all passages, with its source; of a result without passages, its best sentence."""
    answers: list[str] = []
    for result in results:
        if result.startswith("Error: "):
            return f"The tool failed: {result.removeprefix('Error: ')}"
        said, mark, _ = result.partition("\n\nIt was written from these passages.")
        if mark:
            return said
        rows = [(best_sentence(question, text), source) for source, text in _PASSAGE.findall(result)]
        answers += [f"{sentence} ({source})" for sentence, source in rows if sentence != NOTHING]
        if not rows:
            answers.append(best_sentence(question, result))
    wanted = _words(question)
    return max(answers, key=lambda answer: len(wanted & _words(answer)), default=NOTHING)


def _sub_questions(prompt: str) -> str:
    """Every tool is asked the whole question, in the format the prompt shows."""
    own = prompt[prompt.rindex("<Tools>") :]
    tools = json.loads(_between(own, "```json", "```"))
    question = _between(own, "<User Question>", "<Output>")
    items = [{"sub_question": question, "tool_name": name} for name in tools]
    return "```json\n" + json.dumps({"items": items}) + "\n```"


def _standalone(prompt: str) -> str:
    """The follow-up with the first question's words: enough for a pronoun to find its noun."""
    first = re.search(r"(?m)^\s*user: (.*)$", prompt)
    follow_up = re.search(r"(?:Follow Up Input:|<Follow Up Message>\s)\s*(.*)", prompt)
    return " ".join(part[1].strip() for part in (first, follow_up) if part)


def _context(messages: list[tuple[str, str]]) -> tuple[str, str]:
    """(what may be quoted, the question) of an answering prompt; chat engines keep the context in a system message."""
    last = messages[-1][1]
    if "<context>" in last:
        return _between(last, "<context>", "</context>"), _between(last, "<question>", "</question>")
    if (found := re.search(r"(?s)-{5,}\n(.*)\n-{5,}.*\nQuery: (.*)\nAnswer:", last)) is not None:
        return found[1], found[2]
    return "\n".join(text for role, text in messages[:-1] if role == "system"), last


def _question(messages: list[tuple[str, str]]) -> str:
    return next(text for role, text in reversed(messages) if role == "user")


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if word not in _STOP}


def _between(text: str, start: str, end: str) -> str:
    return text.split(start, 1)[1].split(end, 1)[0].strip()


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
