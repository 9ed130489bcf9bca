"""What becomes of a text on its way to an embedder, and of the hidden states on their way to a vector."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qwen3_inference.faults.words import Fault
from qwen3_inference.prompts import query_text
from qwen3_inference.tokenization import END, PromptTokenizer

TURN_END = "<|im_end|>"
_CONVERT = "convert the checkpoint anew, from a folder with the hub repository's tokenizer.json"


def _same(text: str) -> str:
    return text


@dataclass(frozen=True)
class TextFault:
    """One way to compute a vector: `start` and `end` are control tokens around the text, `pooling` reads the states."""

    fault: Fault
    rewrite: Callable[[str], str] = _same
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = (END,)
    pooling: str = "last"
    """"last", "mean", "cls" (the first) or "max"."""
    prompted: bool = False
    """The model's query prompt goes before the text."""

    @property
    def is_local(self) -> bool:
        """Only the hidden states tell: no ids give this vector where the last one is read."""
        return self.pooling != "last"

    def ids(self, text: str, tokenizer: PromptTokenizer, prompt: str) -> list[int]:
        before = prompt if self.prompted else ""
        start, end = (_ids(tokenizer, tokens) for tokens in (self.start, self.end))
        return [*start, *tokenizer.encode([self.rewrite(text)], before)[0], *end]


def _ids(tokenizer: PromptTokenizer, tokens: Sequence[str]) -> list[int]:
    return [token for text in tokens for token in tokenizer.encode_template(text)]


def _pooling(name: str, words: str) -> Fault:
    return Fault(
        name,
        "pooling",
        f"{words} pooling instead of the last token's state",
        "start the server with last-token pooling (llama.cpp and TEI: --pooling last-token or last; vLLM: "
        '--pooler-config \'{"pooling_type": "LAST"}\')',
    )


def _eos(name: str, words: str, remedy: str) -> Fault:
    return Fault(name, "eos", words, remedy)


def _text(name: str, words: str) -> Fault:
    return Fault(
        name,
        "newlines",
        words,
        "use a client that sends texts as they are, such as RemoteEmbeddingEngine; with send='tokens' no text is sent",
    )


RIGHT = TextFault(Fault("right", "model", "", ""))
TEXT_FAULTS = (
    TextFault(
        _eos(
            "no end",
            "no <|endoftext|> at the end of a text (EOS missing)",
            f"--embed-send tokens sends it, where the server takes ids; else {_CONVERT}",
        ),
        end=(),
    ),
    TextFault(
        _eos("turn end", "<|im_end|> at the end of a text instead of <|endoftext|> (wrong EOS)", _CONVERT),
        end=(TURN_END,),
    ),
    TextFault(
        _eos(
            "end twice",
            "<|endoftext|> twice at the end of a text (EOS twice)",
            "let either the client or the server append it",
        ),
        end=(END, END),
    ),
    TextFault(
        _eos("turn end before the end", "<|im_end|> before the <|endoftext|> (wrong EOS)", _CONVERT),
        end=(TURN_END, END),
    ),
    TextFault(
        _eos("start", "<|endoftext|> before a text (a BOS that Qwen3 does not have)", "turn add_bos_token off"),
        start=(END,),
    ),
    TextFault(_pooling("mean", "mean"), pooling="mean"),
    TextFault(_pooling("mean without the end", "mean"), end=(), pooling="mean"),
    TextFault(_pooling("cls", "first-token (cls)"), pooling="cls"),
    TextFault(_pooling("max", "max"), pooling="max"),
    TextFault(
        Fault(
            "prompt before all",
            "prompt",
            "the server puts the query prompt before every text: documents have it, queries twice (prompt twice)",
            "start the server without a default prompt (TEI: --default-prompt, --default-prompt-name)",
        ),
        prompted=True,
    ),
    TextFault(
        _text("newline to blank", "newlines are replaced by blanks"), rewrite=lambda text: text.replace("\n", " ")
    ),
    TextFault(_text("no newlines", "newlines are removed"), rewrite=lambda text: text.replace("\n", "")),
    TextFault(_text("stripped", "blanks around a text are cut off"), rewrite=str.strip),
    TextFault(
        _text("collapsed", "newlines and runs of blanks become one blank"),
        rewrite=lambda text: " ".join(text.split()),
    ),
    TextFault(
        _text("stripped newline to blank", "newlines are replaced by blanks, blanks around a text are cut off"),
        rewrite=lambda text: text.replace("\n", " ").strip(),
    ),
    TextFault(_text("lower case", "texts are written in lower case"), rewrite=str.lower),
)  # fmt: skip
REWRITES = {one.fault.name: one for one in TEXT_FAULTS if one.rewrite is not _same}
"""What clients make of texts, whatever the server then does with them."""


@dataclass(frozen=True)
class QueryFault:
    """What a client sends for a query: `write(query, task, prompt)`, with the prompt that the model wants."""

    fault: Fault
    write: Callable[[str, str, str], str]


def _prompt(name: str, words: str) -> Fault:
    return Fault(
        name,
        "prompt",
        words,
        "let one side write the prompt, 'Instruct: TASK\\nQuery:' with the query right behind it: Qwen3Embedding does, "
        "with engine=RemoteEmbeddingEngine(...)",
    )


RIGHT_QUERY = QueryFault(_prompt("right", ""), lambda query, _, prompt: prompt + query)
QUERY_FAULTS = (
    QueryFault(_prompt("never", "queries have no prompt (prompt never)"), lambda query, *_: query),
    QueryFault(
        _prompt("twice", "queries have their prompt twice (prompt twice)"), lambda query, _, prompt: prompt * 2 + query
    ),
    QueryFault(
        _prompt("space", "a space between 'Query:' and the query (prompt with a space)"),
        lambda query, _, prompt: f"{prompt} {query}",
    ),
    QueryFault(
        _prompt("one line", "the newline of the prompt is replaced by a blank"),
        lambda query, task, _: query_text(query, task).replace("\n", " "),
    ),
    QueryFault(
        _prompt("one line and space", "the prompt's newline is replaced by a blank, and 'Query:' has one behind it"),
        lambda query, task, _: query_text(f" {query}", task).replace("\n", " "),
    ),
    QueryFault(
        _prompt("task alone", "queries have the task before them, without 'Instruct:' and 'Query:'"),
        lambda query, task, _: f"{task} {query}",
    ),
    QueryFault(
        _prompt("other model's", "queries have 'query: ' before them, the prompt of E5 models"),
        lambda query, *_: f"query: {query}",
    ),
    QueryFault(
        _prompt("no task", "queries have 'Query:' before them, and no instruction"), lambda query, *_: f"Query:{query}"
    ),
)
