"""`tune` finds what is planted, shows nothing where there is nothing, and goes on after an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.embeddings.qwen3 import Qwen3Embedding
from llama_index.postprocessor.qwen3_rerank import Qwen3Rerank
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError
from qwen3_rag.evaluation.candidates import read_candidates
from qwen3_rag.evaluation.journal import Journal
from qwen3_rag.evaluation.labels import Labels, read_labels
from qwen3_rag.evaluation.passages import header_paths
from qwen3_rag.evaluation.ranking import TOGETHER
from qwen3_rag.evaluation.settings_file import write_setting
from qwen3_rag.evaluation.tuning import QueryStage, RerankStage, Scorer, divide, halve, tune
from qwen3_rag.identity import ModelIdentity
from qwen3_rag.models import Models
from qwen3_rag.session import Session
from support.openai_server import OpenAIServer, Reply, Request
from typer.testing import CliRunner, Result

from .conftest import write

COUNT = 60
PLANTED = "Given a shop's word, retrieve its stock"
OTHERS = [f"Given a question of kind {number}, find a page" for number in range(5)]
CANDIDATES = [*OTHERS[:3], PLANTED, *OTHERS[3:]]


def topic(text: str) -> int:
    """The number in a text, else the text's own."""
    digits = "".join(letter for letter in text if letter.isdigit())
    return int(digits) % COUNT if digits else 0


def luck(*parts: object) -> float:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") / 2**32


class Engine:
    """Both stages by a rule: a question meets its document, unless bad luck has it, which `PLANTED` makes rarer.

    With `deaf` the wording changes nothing.
    """

    model_name = "rule"

    def __init__(self, deaf: bool = False) -> None:
        self.deaf = deaf
        self.scored: list[tuple[str, str, str | None]] = []
        self.embedded: list[tuple[str, str | None]] = []
        self.breaks_at: int | None = None

    def _sees(self, query: str, instruction: str | None) -> bool:
        heard = None if self.deaf else instruction
        return luck(query, heard) < (0.9 if heard == PLANTED else 0.4)

    def embed_queries(self, queries: Sequence[str], *, instruction: str | None = None, **_: Any) -> Any:
        self._count(len(self.embedded))
        self.embedded += [(query, instruction) for query in queries]
        return np.stack([self._vector(topic(q) if self._sees(q, instruction) else topic(q) + 7) for q in queries])

    def embed_documents(self, documents: Sequence[str], **_: Any) -> Any:
        return np.stack([self._vector(topic(document)) for document in documents])

    def score(self, query: str, documents: Sequence[str], *, instruction: str | None = None, **_: Any) -> Any:
        self._count(len(self.scored))
        self.scored += [(query, document, instruction) for document in documents]
        found = self._sees(query, instruction)
        right = [topic(document) == topic(query) for document in documents]
        return np.array(
            [
                0.9 if hit and found else 0.1 + 0.5 * luck(query, document)
                for hit, document in zip(right, documents, strict=True)
            ]
        )

    async def aembed_queries(self, queries: Sequence[str], **options: Any) -> Any:
        return self.embed_queries(queries, **options)

    async def aembed_documents(self, documents: Sequence[str], **options: Any) -> Any:
        return self.embed_documents(documents, **options)

    async def ascore(self, query: str, documents: Sequence[str], **options: Any) -> Any:
        return self.score(query, documents, **options)

    def _count(self, done: int) -> None:
        if self.breaks_at is not None and done >= self.breaks_at:
            raise KeyboardInterrupt

    @staticmethod
    def _vector(place: int) -> Any:
        """Neighbours on a circle: a document's are near it, and its own is nearest."""
        angle = 2 * np.pi * (place % COUNT) / COUNT
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def session(engine: Engine, lite: str) -> Iterator[Session]:
    config = RagConfig(uri=lite, embed_model="tiny", top_k=20, top_n=20)
    models = Models(Qwen3Embedding(engine=engine), ModelIdentity("rule", "1", 2), Qwen3Rerank(engine=engine, top_n=20))
    write(Path("docs"), {f"d{number:02}.txt": f"Stock of shop {number}" for number in range(COUNT)})
    with Session(config, models=models) as opened:
        opened.ingest(["docs"])
        yield opened


@pytest.fixture
def labels(session: Session) -> Labels:
    names = {topic(Path(source).stem): source for source in header_paths(session)}
    Path("l.tsv").write_text("".join(f"what has shop {number}\t{names[number]}\n" for number in range(COUNT)))
    return read_labels(Path("l.tsv"), header_paths(session))


def scorer(stage: str, session: Session, labels: Labels, journal: Journal | None = None) -> Scorer:
    return (QueryStage if stage == "query" else RerankStage)(session, labels, journal or Journal(None, {}))


@pytest.mark.parametrize("stage", ["query", "rerank"])
def test_the_planted_candidate_is_found_and_confirmed(stage: Any, session: Session, labels: Labels) -> None:
    found = tune(stage, scorer(stage, session, labels), CANDIDATES, labels)
    assert found.instruction == PLANTED
    assert found.held_out == COUNT // 2
    assert found.difference.low > 0
    assert found.to_json()["verdict"] == "better"
    assert set(found.to_json()) >= {"stage", "instruction", "default", "held_out", "difference", "verdict"}


@pytest.mark.parametrize("stage", ["query", "rerank"])
def test_wording_that_changes_nothing_shows_no_difference(
    stage: Any, session: Session, labels: Labels, engine: Engine
) -> None:
    engine.deaf = True
    found = tune(stage, scorer(stage, session, labels), CANDIDATES, labels)
    assert found.to_json()["verdict"] == "no difference shown"
    assert (found.difference.mean, found.difference.p, found.difference.ties) == (0, 1, COUNT // 2)
    assert found.instruction == CANDIDATES[0]


def test_candidates_that_are_only_luckier_are_seldom_confirmed() -> None:
    """All are equal but for luck; the best of 8 on the training half says nothing about the other half."""
    better = 0
    questions = Labels({str(i): "?" for i in range(80)}, {str(i): {"d": 1} for i in range(80)})
    for trial in range(30):

        def value(asked: Sequence[str], instruction: str | None, trial: int = trial) -> Any:
            return np.array([luck(trial, one, instruction) for one in asked])

        better += tune("query", value, [f"candidate {i}" for i in range(8)], questions).is_better
    assert better <= 3, "2.5 % of 30 on this side, and a margin"


def test_halving_spends_more_questions_on_fewer_candidates() -> None:
    asked: list[tuple[str, int]] = []

    def value(questions: Sequence[str], instruction: str | None) -> Any:
        asked.append((str(instruction), len(questions)))
        return np.full(len(questions), float(str(instruction)))

    best = halve(value, [str(number) for number in range(8)], [str(number) for number in range(100)])
    assert best == "7"
    assert [count for _, count in asked] == [25] * 8 + [50] * 4 + [100] * 2


def test_the_halves_are_apart_and_stay_the_same(labels: Labels) -> None:
    training, held_out = divide(labels)
    assert set(training) | set(held_out) == set(labels.queries)
    assert not set(training) & set(held_out)
    backwards = labels.only(reversed(list(labels.queries)))
    assert divide(backwards) == (training, held_out)
    with pytest.raises(ConfigError, match="at least 4"):
        divide(labels.only(training[:3]))


@pytest.mark.parametrize("stage", ["query", "rerank"])
def test_an_interrupted_run_computes_nothing_twice(
    stage: Any, session: Session, labels: Labels, engine: Engine
) -> None:
    whole = tune(stage, scorer(stage, session, labels), CANDIDATES, labels)
    done = engine.embedded if stage == "query" else engine.scored
    needed, total = len(done), 0
    for part in (0.3, 0.6):
        done.clear()
        engine.breaks_at = int(needed * part)
        with Journal(Path("t.jsonl"), {}) as journal, pytest.raises(KeyboardInterrupt):
            tune(stage, scorer(stage, session, labels, journal), CANDIDATES, labels)
        total += len(done)
    done.clear()
    engine.breaks_at = None
    with Journal(Path("t.jsonl"), {}) as journal:
        assert tune(stage, scorer(stage, session, labels, journal), CANDIDATES, labels) == whole
    lost = 2 * TOGETHER * (1 if stage == "query" else session.stages.top_k)
    assert needed <= total + len(done) <= needed + lost, "at most the batch in which it broke, twice"
    assert len(set(done)) == len(done)


def test_documents_are_not_embedded_again(
    session: Session, labels: Labels, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "embed_documents", None)
    tune("query", scorer("query", session, labels), CANDIDATES, labels)
    assert len(set(engine.embedded)) == len(engine.embedded), "one embedding a question and candidate"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nothing\n\n", "no instruction"),
        ("Instruct: x\nQuery:", "the task alone"),
        ("the default\n", "no instruction"),
    ],
)
def test_candidates_that_are_none_are_refused(text: str, said: str) -> None:
    Path("c.txt").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_candidates(Path("c.txt"), "the default")


def test_a_setting_is_written_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = '# mine\ntop_k = 7 # seven\nquery_instruction = "old" # old evidence\n'
    Path("qwen3_rag.toml").write_text(mine)
    path = write_setting("query_instruction", 'Say "new"', "+0.1 ndcg@10")
    write_setting("rerank_instruction", "Other", "+0.2 ndcg@10")
    assert path.read_text() == (
        '# mine\ntop_k = 7 # seven\nquery_instruction = "Say \\"new\\"" # +0.1 ndcg@10\n'
        'rerank_instruction = "Other" # +0.2 ndcg@10\n'
    )
    assert RagConfig().query_instruction == 'Say "new"'
    Path("qwen3_rag.toml").write_text("= broken")
    with pytest.raises(ConfigError, match=r"qwen3_rag\.toml"):
        write_setting("query_instruction", "x", "y")


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code != 1, result.stderr
    return result


@pytest.fixture
def small(pair: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A collection made with real checkpoints; the name of its source."""
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    sections = "".join(f"## Part {n}\n\nThis is what part {n} says about milk.\n\n" for n in range(8))
    write(Path("docs"), {"all.md": "# All\n\n" + sections})
    assert call("ingest", "docs", "--quiet").exit_code == 0
    return str(json.loads(call("search", "milk", "--json").stdout)["dense"][0]["source"])


def test_the_command_ends_with_its_object_and_writes_only_what_is_better(small: str) -> None:
    Path("l.tsv").write_text("".join(f"what says part {n}\t{small}#Part {n}\n" for n in range(8)))
    Path("c.txt").write_text("Given a part, find it\nGiven milk, find the part\n")
    result = call("tune", "--labels", "l.tsv", "--candidates", "c.txt", "--json", "--write", "--quiet")
    assert result.exit_code == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["stage"] for one in found] == ["query", "rerank"]
    assert all(one["held_out"] == 4 for one in found)
    assert all(one["verdict"] == "no difference shown" for one in found), "4 questions cannot show one"
    assert not Path("qwen3_rag.toml").exists()
    assert "not written" in result.stderr
    for wrong in ((), ("--candidates", "c.txt", "--propose")):
        assert call("tune", "--labels", "l.tsv", *wrong).exit_code == 2
    none = ("tune", "--labels", "l.tsv", "--candidates", "c.txt", "--rerank-model", "none")
    assert call(*none, "--stage", "rerank").exit_code == 2
    assert "query: no difference shown" in call(*none).stdout


def test_a_language_model_proposes_from_the_training_half(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    Path("l.tsv").write_text("".join(f"what says part {n}\t{small}#Part {n}\n" for n in range(8)))
    said = (
        '<think>hm</think>\n1. Given a part\'s number, retrieve it\n- "Given milk, retrieve its part"\nInstruct: no\n'
    )
    with OpenAIServer([Reply(said)]) as server:
        arguments = (
            "tune",
            "--labels",
            "l.tsv",
            "--propose",
            "--stage",
            "query",
            "--json",
            "--llm-base-url",
            server.url,
        )
        result = call(*arguments)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["instruction"] in (
            "Given a part's number, retrieve it",
            "Given milk, retrieve its part",
        )
        shown = server.requests[0].messages[-1]["content"]
    assert sum(f"what says part {n}\n" in shown for n in range(8)) == 4, "the held-out half is not shown"
    with OpenAIServer([Reply("no", status=500)] * 4) as server:
        assert call(*arguments[:-1], server.url).exit_code == 4


def test_questions_are_written_judged_and_kept(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    asked: list[str] = []

    def answer(request: Request) -> Reply:
        system, user = (message["content"] for message in request.messages)
        part = user.split("## Part ")[1][0]
        if "yes or no" in system:
            assert f"What does number {part} say?" in user or part == "3"
            return Reply("No." if part == "3" else "Yes")
        asked.append(part)
        return Reply(f"What does number {part} say?")

    with OpenAIServer(answer) as server:
        common = ("questions", "--labels", "q.tsv", "--quiet", "--llm-base-url", server.url, "--propose")
        assert call(*common, 2).exit_code == 0
        first = Path("q.tsv").read_text()
        assert call(*common, 2).exit_code == 0
        assert Path("q.tsv").read_text() == first, "nothing is missing, so nothing is asked"
        result = call(*common, 20)
    assert result.exit_code == 3
    assert Path("q.tsv").read_text().startswith(first)
    assert sorted(asked) == sorted(set(asked)), "no passage is asked about twice"
    lines = [line for line in Path("q.tsv").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 7
    assert not any("number 3" in line for line in lines)
    assert call("evaluate", "--labels", "q.tsv", "--quiet", "--rerank-model", "none").exit_code == 0
