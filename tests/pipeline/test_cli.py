"""The console script: what it prints, where, and its exit codes. Small real Qwen3 checkpoints do the work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import qwen3_rag
from qwen3_inference.hub import tiny_folder
from qwen3_rag.cli.program import app
from qwen3_rag.documents.chunking import PassageParser
from qwen3_rag.documents.readers import MarkdownReader
from qwen3_rag.documents.walk import find_files
from support.openai_server import OpenAIServer, Reply
from typer.testing import CliRunner, Result

from .conftest import SHARED, write

KNOWLEDGE = Path(qwen3_rag.__file__).parent / "knowledge"
DOCS: dict[str, str | bytes] = {
    "tea.md": "# Tea\n\n## Green tea\n\nSteep it at 80 degrees.\n\n## Black tea\n\nSteep it in boiling water.\n",
    "pets.txt": "Cats sleep. Dogs bark.",
    "日本.md": "# 東京\n\n東京は日本の首都です。\n",
}


@pytest.fixture
def docs(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources, and an environment that selects the small checkpoints."""
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", str(pair / "embedding"))
    monkeypatch.setenv("QWEN3_RAG_DEVICE", "cpu")
    return write(Path("docs"), dict(DOCS))


@pytest.fixture
def ingested(docs: Path) -> Path:
    assert call("ingest", "docs").exit_code == 0
    return docs


def call(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exit_code != 1:
        assert "Traceback" not in result.stderr
    return result


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_ingest_reports_on_stderr_and_json_on_stdout(docs: Path) -> None:
    result = call("ingest", "docs", "--json")
    assert lines(result)[0] | {"seconds": 0} == {
        "documents": 3, "unchanged": 0, "written": 4, "kept": 0, "updated": 0, "deleted": 0, "pruned": 0,
        "skipped": [], "passed_over": {}, "left_out": 0, "cleaned": 0, "cut": [], "seconds": 0,
    }  # fmt: skip
    assert "4 passages written" in result.stderr
    again = call("ingest", "docs")
    assert "(3 unchanged)" in again.stderr
    assert again.stdout == ""
    quiet = call("ingest", "docs", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_search_json_has_the_agreed_shape(ingested: Path) -> None:
    (found,) = lines(call("search", "green tea?", "--json", "--top-k", "4", "--top-n", "2"))
    assert list(found) == ["query", "dense", "reranked"]
    assert found["query"] == "green tea?"
    keys = ["rank", "score", "text", "source", "node_id", "title", "header_path", "position", "page"]
    assert [list(row) for row in found["dense"]] == [keys] * 4
    assert [set(row) for row in found["reranked"]] == [{*keys, "retrieval_score"}] * 2
    places = {
        (row["source"], row["position"]): (row["title"], row["header_path"], row["page"]) for row in found["dense"]
    }
    assert places["docs/tea.md", 0] == ("Tea", "Tea > Green tea", None)
    assert places["docs/pets.txt", 0] == (None, None, None)
    assert [row["rank"] for row in found["dense"]] == [1, 2, 3, 4]
    scores = {row["node_id"]: row["score"] for row in found["dense"]}
    assert all(scores[row["node_id"]] == row["retrieval_score"] for row in found["reranked"])
    assert any(row["text"] == "## Green tea\n\nSteep it at 80 degrees." for row in found["dense"])
    assert [row["score"] for row in found["dense"]] == sorted(scores.values(), reverse=True)


def test_without_reranker_reranked_is_null(ingested: Path) -> None:
    assert lines(call("search", "tea", "--json", "--rerank-model", "none"))[0]["reranked"] is None


def test_hybrid_names_its_mode(docs: Path) -> None:
    assert call("ingest", "docs", "--hybrid").exit_code == 0
    (found,) = lines(call("search", "首都", "--json", "--mode", "hybrid"))
    assert found["mode"] == "hybrid"
    assert "docs/日本.md" in [row["source"] for row in found["dense"][:2]]


@pytest.mark.parametrize("stdin", [False, True])
def test_queries_from_a_file_or_stdin_are_answered_one_a_line(ingested: Path, stdin: bool) -> None:
    text = "\ufeffgreen tea?\n\n東京は?\r\n   \nlast"
    Path("q.txt").write_text(text, encoding="utf-8")
    result = call("search", "--json", "--queries", "-" if stdin else "q.txt", stdin=text if stdin else None)
    assert [row["query"] for row in lines(result)] == ["green tea?", "東京は?", "last"]


def test_filter(ingested: Path) -> None:
    (found,) = lines(call("search", "x", "--json", "--filter", "source=docs/pets.txt"))
    assert [row["source"] for row in found["dense"]] == ["docs/pets.txt"]
    (found,) = lines(call("search", "x", "--json", "--filter", "source=docs/pets.txt", "--filter", "format=markdown"))
    assert (found["dense"], found["reranked"]) == ([], [])


def test_the_second_stage_may_be_left_out_or_held_to_a_bound(ingested: Path) -> None:
    assert lines(call("search", "tea", "--json", "--no-rerank"))[0]["reranked"] is None
    scores = [row["score"] for row in lines(call("search", "tea", "--json"))[0]["reranked"]]
    flags = ("tea", "--score-threshold", repr(scores[1]))
    assert [row["score"] for row in lines(call("search", *flags, "--json"))[0]["reranked"]] == scores[:2]
    assert "no second stage" in call("compare", "tea", "--no-rerank").stderr
    assert "nothing found" in call("search", "tea", "--score-threshold", "1").stdout
    result = call("ask", "tea", "--score-threshold", "1")
    assert (result.exit_code, "no passage was found" in result.stderr) == (4, True)


def test_show_and_remove(ingested: Path) -> None:
    (found,) = lines(call("show", "docs/tea.md", "--json"))
    assert (found["source"], found["total"]) == ("docs/tea.md", 2)
    assert [list(row) for row in found["passages"]] == [
        ["text", "source", "node_id", "title", "header_path", "position", "page"]
    ] * 2
    shown = call("show", "docs/tea.md", "--from", "1", "--embed-model", "./nowhere")
    assert "Tea > Black tea · passage 1\n## Black tea\n" in shown.stdout
    assert "Green" not in shown.stdout
    assert "--from 1 reads on" in call("show", "docs/tea.md", "--count", "1").stderr
    assert call("show", "tea.md").exit_code == 2
    assert call("ingest", "--remove", "docs/none.md").exit_code == 2
    assert call("ingest", "docs", "--remove", "docs/tea.md").exit_code == 2
    assert "1 documents with 2 passages removed" in call("ingest", "--remove", "docs/tea.md").stderr
    assert call("show", "docs/tea.md").exit_code == 2


def test_a_kind_whose_extra_is_missing_is_one_line_with_its_name(
    ingested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "liteparse", None)
    write(ingested, {"a.pdf": b"%PDF-1.4", "b.pdf": b"%PDF-1.4", "c.png": b"x"})
    result = call("ingest", "docs", "--json")
    assert result.exit_code == 3
    assert "skipped docs/a.pdf, docs/b.pdf: PDF files need the extra 'documents': pip install" in result.stderr
    report = json.loads(result.stdout)
    assert [one["source"] for one in report["skipped"]] == ["docs/a.pdf", "docs/b.pdf"]
    assert report["passed_over"] == {".png": 1}


def test_what_is_passed_over_is_said(ingested: Path) -> None:
    write(ingested, {"a.png": b"x", "b.PNG": b"x", "c.zip": b"x", "LICENSE": b"x", "drafts/d.md": b"# D\n\nDraft."})
    result = call("ingest", "docs", "--exclude", "drafts/", "--meta", "team=tea", "--json")
    assert "passed over: 1 without a suffix, 2 .png, 1 .zip\n" in result.stderr
    assert "left out by --include, --exclude or .gitignore: 1 (files and folders)\n" in result.stderr
    (report,) = lines(result)
    assert (report["passed_over"], report["left_out"], report["updated"]) == ({"": 1, ".png": 2, ".zip": 1}, 1, 4)
    assert len(lines(call("search", "x", "--json", "--filter", "team=tea"))[0]["dense"]) == 4


def test_instructions_change_scores(ingested: Path) -> None:
    plain, both, query, rerank = (
        lines(call("search", "tea", "--json", "--top-k", "4", "--top-n", "4", *flags))[0]
        for flags in (
            (),
            ("--instruction", "Find beverages"),
            ("--query-instruction", "Find beverages"),
            ("--rerank-instruction", "Find beverages"),
        )
    )

    def scores(result: dict[str, Any], stage: str) -> list[float]:
        return [row["score"] for row in sorted(result[stage], key=lambda row: row["node_id"])]

    assert scores(plain, "dense") != pytest.approx(scores(both, "dense"), abs=1e-6)
    assert scores(plain, "reranked") != pytest.approx(scores(both, "reranked"), abs=1e-6)
    assert scores(query, "dense") == pytest.approx(scores(both, "dense"))
    assert scores(query, "reranked") == pytest.approx(scores(plain, "reranked"))
    assert scores(rerank, "dense") == pytest.approx(scores(plain, "dense"))
    assert scores(rerank, "reranked") == pytest.approx(scores(both, "reranked"))


def test_human_output(ingested: Path) -> None:
    result = call("search", "green tea?")
    assert "docs/tea.md" in result.stdout
    assert "[1]" in result.stdout
    assert "\nTea > Green tea · passage 0\n" in result.stdout
    compared = call("compare", "green tea?", "--top-n", "4", "--top-k", "4")
    assert "after reranking" in compared.stdout
    assert any(mark in compared.stdout for mark in ("↑", "↓", "="))
    assert lines(call("compare", "green tea?", "--json"))[0]["query"] == "green tea?"


def test_skipped_files_give_exit_code_3(docs: Path) -> None:
    (docs / "bad.md").write_bytes(b"caf\xe9")
    result = call("ingest", "docs")
    assert result.exit_code == 3
    assert "skipped docs/bad.md: not UTF-8" in result.stderr
    quiet = call("ingest", "docs", "--quiet")
    assert (quiet.exit_code, quiet.stderr.count("\n")) == (3, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("search",),
        ("search", "q", "--queries", "q.txt"),
        ("search", "--queries", "missing.txt"),
        ("search", "q", "--top-k", "0"),
        ("search", "q", "--top-k", "many"),
        ("search", "q", "--mode", "fuzzy"),
        ("search", "q", "--filter", "nonsense"),
        ("search", "q", "--score-threshold", "1.5"),
        ("search", "q", "--score-threshold", "0.5", "--no-rerank"),
        ("ingest", "docs", "--include", ""),
        ("ingest", "docs", "--meta", "source=x"),
        ("ingest", "docs", "--meta", "team"),
        ("search", " "),
        ("search", "q", "--uri", "data.sqlite"),
        ("search", "q", "--dimensions", "7"),
        ("search", "q", "--mode", "hybrid"),
        ("search", "q", "--embed-model", "./nowhere"),
        ("search", "q", "--config", "missing.toml"),
        ("ingest", "nowhere"),
        ("ingest",),
        ("drop",),
        ("evaluate", "docs"),
        ("frobnicate",),
        ("search", "q", "--no-such-flag"),
    ],
)
def test_user_mistakes_give_exit_code_2_and_one_message(ingested: Path, arguments: tuple[str, ...]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_what_is_unavailable_gives_exit_code_4(ingested: Path) -> None:
    for arguments, said in [
        (("--uri", "none.db"), "qwen3-rag ingest"),
        (("--uri", "http://127.0.0.1:9"), "127.0.0.1:9"),
        (("--collection", "other"), "no collection 'other'"),
        (("--embed-model", "0.6B"), "--embed-model tiny"),
    ]:
        result = call("search", "q", *arguments)
        assert (result.exit_code, said in result.stderr) == (4, True), result.stderr
    assert not Path("none.db").exists()


def test_ask_answers_with_sources(ingested: Path) -> None:
    with OpenAIServer([Reply("At 80 degrees [1].")] * 3) as server:
        flags = ("--llm", "test-model", "--llm-base-url", server.url)
        (found,) = lines(call("ask", "how hot?", "--json", *flags))
        assert list(found) == ["query", "dense", "reranked", "answer", "sources"]
        assert found["answer"] == "At 80 degrees [1]."
        assert [source["number"] for source in found["sources"]] == [1, 2, 3]
        assert [source["node_id"] for source in found["sources"]] == [row["node_id"] for row in found["reranked"]]
        for extra in ((), ("--stream",)):
            result = call("ask", "how hot?", *flags, *extra)
            assert result.exit_code == 0
            assert "At 80 degrees [1]." in result.stdout
            assert "Sources" in result.stdout


def test_ask_without_language_model_shows_passages_and_the_reason(ingested: Path) -> None:
    result = call("ask", "how hot?")
    assert result.exit_code == 4
    assert "docs/" in result.stdout
    assert "OPENAI_API_KEY" in result.stderr
    dead = call("ask", "how hot?", "--json", "--llm-base-url", "http://127.0.0.1:9/v1")
    assert dead.exit_code == 4
    assert json.loads(dead.stdout)["answer"] is None
    assert len(json.loads(dead.stdout)["sources"]) == 3
    assert "cannot be reached" in dead.stderr


def test_info_shows_settings_and_collection(ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_RAG_TOKEN", "hush")
    monkeypatch.setenv("QWEN3_RAG_LLM_API_KEY", "hush")
    Path("qwen3_rag.toml").write_text("top_k = 7\n")
    (found,) = lines(call("info", "--json"))
    assert found["config_file"] == "qwen3_rag.toml"
    assert found["settings"]["top_k"] == 7
    assert found["collection"]["rows"] == 4
    assert found["collection"]["dimensions"] == 32
    assert "hush" not in json.dumps(found) + call("info").stdout
    assert lines(call("info", "--json", "--collection", "other"))[0]["collection"] is None


def test_drop(ingested: Path) -> None:
    assert call("drop").exit_code == 2
    assert call("drop", "--yes").exit_code == 0
    assert call("search", "q").exit_code == 4


def test_overwrite_changes_the_dimension(ingested: Path) -> None:
    refused = call("ingest", "docs", "--dimensions", "16")
    assert refused.exit_code == 2
    assert "32" in refused.stderr
    assert "16" in refused.stderr
    assert call("ingest", "docs", "--dimensions", "16", "--overwrite").exit_code == 0
    assert lines(call("search", "q", "--json", "--dimensions", "16"))


def test_another_model_is_refused(ingested: Path, pair: Path, tmp_path: Path) -> None:
    from support.checkpoints import make_checkpoint

    other = make_checkpoint(tmp_path / "other-embedding", "embedding", seed=1)
    result = call("search", "q", "--embed-model", str(other), "--rerank-model", "none")
    assert result.exit_code == 2
    assert str(other) in result.stderr
    assert str(pair) in result.stderr


def test_help_teaches_and_is_quick() -> None:
    for name in ("ingest", "search", "compare", "ask", "evaluate", "info", "drop", "demo"):
        result = call(name, "--help")
        assert result.exit_code == 0
        assert "--uri" in result.stdout
        assert "Example" in result.stdout or name == "demo"
    heavy = ("torch", "transformers", "llama_index", "pymilvus", "pydantic")
    code = f"import sys, qwen3_rag.cli; print([name for name in {heavy} if name in sys.modules])"
    started = time.monotonic()
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    assert time.monotonic() - started < 5


def test_a_search_loads_no_language_model_client_and_no_vocabulary_of_one(ingested: Path) -> None:
    heavy = ("openai", "llama_index.llms.openai", "tiktoken_ext", "transformers", "sentence_transformers")
    code = (
        "import sys\nfrom qwen3_rag.cli.program import app\n"
        "app(['search', 'tea', '--json'], standalone_mode=False)\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["reranked"]
    assert done.stderr == "[]\n"


def test_the_installed_script_keeps_stdout_clean(ingested: Path) -> None:
    script = Path(sys.executable).parent / "qwen3-rag"
    done = subprocess.run([script, "search", "tea", "--json"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["query"] == "tea"
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_json_is_json_in_any_encoding_of_stdout(ingested: Path, encoding: str) -> None:
    written = io.BytesIO()
    with pytest.raises(SystemExit) as ended, redirect_stdout(io.TextIOWrapper(written, encoding=encoding)) as stdout:
        app(["search", "首都 café 😀", "--json", "--rerank-model", "none"])
    stdout.flush()
    assert ended.value.code == 0
    found = json.loads(written.getvalue().decode(encoding))
    assert found["query"] == "首都 café 😀"
    assert any("東京" in row["text"] for row in found["dense"])


@pytest.mark.parametrize("flags", [("--json",), ()])
def test_a_closed_pipe_ends_in_silence(ingested: Path, flags: tuple[str, ...]) -> None:
    script = Path(sys.executable).parent / "qwen3-rag"
    read, write_end = os.pipe()
    os.close(read)
    command = [script, "search", "tea", "--rerank-model", "none", *flags]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


PROXIES = ["http_proxy", "grpc_proxy", "https_proxy", "all_proxy", "ALL_PROXY"]


@pytest.mark.parametrize("name", PROXIES)
def test_a_local_database_is_reached_past_any_proxy(docs: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    done = call("ingest", "docs")
    assert (done.exit_code, "4 passages written" in done.stderr) == (0, True), done.stderr


def test_a_process_that_began_with_proxies_reaches_it_too(docs: Path) -> None:
    script = Path(sys.executable).parent / "qwen3-rag"
    environment = {**os.environ, **dict.fromkeys(PROXIES, "http://127.0.0.1:9")}
    done = subprocess.run([script, "ingest", "docs"], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, "4 passages written" in done.stderr) == (0, True), done.stderr


def test_a_tilde_is_the_home_folder(docs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path / "home", {"notes/a.md": "# Home\n\ntext\n"})
    assert call("ingest", "~/notes", "--uri", "~/kb/a.db").exit_code == 0
    assert (tmp_path / "home" / "kb" / "a.db").exists()
    assert not Path("~").exists()


@pytest.mark.skipif(not (SHARED / "data" / "cranfield").is_dir(), reason="Cranfield is not at ../shared")
def test_evaluate_on_a_slice_of_cranfield(docs: Path) -> None:
    source = SHARED / "data" / "cranfield"
    folder = Path("beir")
    (folder / "qrels").mkdir(parents=True)
    for name, count in (("corpus.jsonl", 60), ("queries.jsonl", 12), ("qrels/test.tsv", 200)):
        rows = (source / name).read_text().splitlines(keepends=True)[:count]
        (folder / name).write_text("".join(rows))
    result = call("evaluate", "beir", "--json", "--top-k", "10", "--runs", "runs.jsonl")
    metrics = lines(result)[-1]
    assert set(metrics["dense"]) == {"ndcg@10", "mrr@10", "recall@50"}
    assert "written" in result.stderr
    kept = Path("runs.jsonl").read_text().splitlines()
    Path("runs.jsonl").write_text("\n".join(kept[:5]) + '\n{"id": "cut')  # as a killed run leaves it
    again = call("evaluate", "beir", "--json", "--top-k", "10", "--runs", "runs.jsonl")
    assert lines(again)[-1] == {**metrics, "seconds": lines(again)[-1]["seconds"]}
    assert "0 passages written" in again.stderr
    assert len(Path("runs.jsonl").read_text().splitlines()) == len(kept)
    assert call("evaluate", "beir", "--top-k", "9", "--runs", "runs.jsonl").exit_code == 2


def test_the_demo_runs_offline_and_says_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (tiny_folder("embedding") / "model.safetensors").is_file():
        pytest.skip("the bundled pair is not in this checkout")
    monkeypatch.setenv("QWEN3_RAG_EMBED_MODEL", "0.6B")
    result = call("demo")
    assert result.exit_code == 0, result.stderr
    assert "not on 0.6B" in result.stderr
    assert "after reranking" in result.stdout
    assert "no language model" in result.stderr
    assert "How a reranker works" in result.stdout
    assert list(Path().iterdir()) == [], "nothing is left behind"


def test_the_bundled_knowledge_is_large_and_multilingual() -> None:
    documents = [one for file in find_files([KNOWLEDGE], print) for one in MarkdownReader().lazy_load_data(file.path)]
    passages = PassageParser().get_nodes_from_documents(documents)
    assert len(passages) >= 40
    assert len(documents) >= 8
