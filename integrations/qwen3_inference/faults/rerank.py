"""What becomes of a query and a document on their way to a reranker, and of its probability on the way back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qwen3_inference.faults.words import Fault
from qwen3_inference.local.rerank import sigmoid
from qwen3_inference.prompts import (
    RERANK_PREFIX,
    RERANK_SUFFIX,
    rerank_document_text,
    rerank_in_two_texts,
    rerank_instruction_text,
    rerank_query_text,
)
from qwen3_inference.tokenization import END, PromptTokenizer

_USER = RERANK_PREFIX[RERANK_PREFIX.index("<|im_end|>\n") + len("<|im_end|>\n") :]
_WITHOUT_THINKING = RERANK_SUFFIX[: RERANK_SUFFIX.index("<think>")]
_ONE_NEWLINE = RERANK_SUFFIX.removesuffix("\n")
Write = Callable[[str, str, str], tuple[str, ...]]
"""`write(query, document, task)`: texts that are tokenised one by one and put together."""


@dataclass(frozen=True)
class PromptFault:
    fault: Fault
    write: Write

    def ids(self, query: str, document: str, task: str, tokenizer: PromptTokenizer) -> list[int]:
        """Of texts without control tokens."""
        return [token for text in self.write(query, document, task) for token in tokenizer.encode_template(text)]


def _prompt(
    query: str,
    document: str,
    task: str,
    *,
    prefix: str = RERANK_PREFIX,
    suffix: str = RERANK_SUFFIX,
) -> tuple[str, ...]:
    asked = rerank_instruction_text(task) + rerank_query_text(query) + rerank_document_text(document)
    return (prefix + asked + suffix,)


def _twice(query: str, document: str, task: str, suffix: str = RERANK_SUFFIX) -> tuple[str, ...]:
    before, behind = rerank_in_two_texts(query, task)
    return _prompt(before, behind(document), task, suffix=suffix)


def _template(name: str, words: str, remedy: str = "") -> Fault:
    exact = (
        "--rerank-prompt tokens is exact whatever template a vLLM or SGLang server has; for others, take the template "
        "of the hub's repository"
    )
    return Fault(name, "template", words, f"{remedy}; or {exact}" if remedy else exact)


def _missing(name: str) -> Fault:
    return _template(
        name,
        "template missing: the model reads query and document alone",
        "start the server with Qwen3-Reranker's template (--chat-template), or say --rerank-prompt client",
    )


_UNSEEN = "the server fills in the wrong roles: give it a template with the roles that it sends"
RIGHT_PROMPT = PromptFault(_template("right", ""), _prompt)
PROMPT_FAULTS = (
    PromptFault(_missing("missing"), lambda query, document, _: (query, document)),
    PromptFault(_missing("missing, in one text"), lambda query, document, _: (f"{query}{document}",)),
    PromptFault(_missing("missing, with a newline"), lambda query, document, _: (f"{query}\n{document}",)),
    PromptFault(_missing("missing, with a blank"), lambda query, document, _: (f"{query} {document}",)),
    PromptFault(
        _template(
            "twice",
            "template twice: client and server write it both, or the server does so twice",
            "say --rerank-prompt server where the server has one, or start it without",
        ),
        _twice,
    ),
    PromptFault(
        _template(
            "twice, with one newline",
            "template twice: client and server write it both, the server's with one newline at its end (as in vLLM's "
            "example template)",
            "say --rerank-prompt server and end the template file with {{ '\\n\\n' }}",
        ),
        lambda query, document, task: _twice(query, document, task, _ONE_NEWLINE),
    ),
    PromptFault(
        _template("SGLang's", "SGLang's template: no think block, and an instruction with a full stop"),
        lambda query, document, task: _prompt(query, document, f"{task}.", suffix=_WITHOUT_THINKING),
    ),
    PromptFault(
        _template("no think block", "the think block is missing at the end of the prompt (as in SGLang's template)"),
        lambda *pair: _prompt(*pair, suffix=_WITHOUT_THINKING),
    ),
    PromptFault(
        _template(
            "one newline",
            "one newline instead of two at the end of the prompt (as in vLLM's example template)",
            "end the template file with {{ '\\n\\n' }}: Jinja drops a file's last newline",
        ),
        lambda *pair: _prompt(*pair, suffix=_ONE_NEWLINE),
    ),
    PromptFault(
        _template("full stop", "a full stop behind the instruction, which the model was not trained with"),
        lambda query, document, task: _prompt(query, document, f"{task}."),
    ),
    PromptFault(
        _template("no system turn", "the system turn is missing"), lambda *pair: _prompt(*pair, prefix=_USER)
    ),
    PromptFault(
        _template("no instruction", "the line with the instruction is missing"),
        lambda query, document, _: (
            RERANK_PREFIX + "<Query>:" + rerank_query_text(query) + rerank_document_text(document) + RERANK_SUFFIX,
        ),
    ),
    PromptFault(
        _template("no end", "the end of the prompt is missing: it is cut off, or not in the template"),
        lambda *pair: _prompt(*pair, suffix=""),
    ),
    PromptFault(
        _template("token behind", "<|endoftext|> behind the prompt: the server appends it, as for an embedder"),
        lambda *pair: (*_prompt(*pair), END),
    ),
    PromptFault(
        _template("both unseen", "neither query nor document reaches the model (a template with other roles)", _UNSEEN),
        lambda _, __, task: _prompt("", "", task),
    ),
    PromptFault(
        _template("document unseen", "documents do not reach the model", _UNSEEN),
        lambda query, _, task: _prompt(query, "", task),
    ),
    PromptFault(
        _template("query unseen", "the query does not reach the model", _UNSEEN),
        lambda _, document, task: _prompt("", document, task),
    ),
    PromptFault(
        _template("exchanged", "query and document change places"),
        lambda query, document, task: _prompt(document, query, task),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class ScoreFault:
    """`back` makes probabilities of what such a server gives; NaN where no probability gives that."""

    fault: Fault
    back: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def _logit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) - np.log1p(-values)


def _within(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where((values >= -1e-4) & (values <= 1 + 1e-4), np.clip(values, 0.0, 1.0), np.nan)


RIGHT_SCORE = ScoreFault(Fault("right", "scale", "", ""), _within)
SCORE_FAULTS = (
    ScoreFault(
        Fault(
            "swapped",
            "labels",
            "yes and no are swapped: the scores are probabilities of no",
            "vLLM: \"classifier_from_token\": [\"no\", \"yes\"] in this order; SGLang: label ids of yes, then no",
        ),
        lambda values: 1.0 - _within(values),
    ),
    ScoreFault(
        Fault(
            "logit",
            "scale",
            "logits instead of probabilities",
            "say scores='logit' to RemoteRerankEngine, or let the server activate (vLLM: use_activation)",
        ),
        sigmoid,
    ),
    ScoreFault(
        Fault(
            "sigmoid twice",
            "scale",
            "the sigmoid is applied twice: probabilities lie between 0.5 and 0.731",
            "turn one of the two sigmoids off, at the server or in a proxy before it",
        ),
        lambda values: _within(_logit(_within(values))),
    ),
    ScoreFault(
        Fault(
            "swapped logit", "labels", "yes and no are swapped, and logits stand for probabilities", "as for each alone"
        ),
        lambda values: sigmoid(-values),
    ),
)  # fmt: skip
