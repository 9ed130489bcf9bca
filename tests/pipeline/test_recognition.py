"""Which model filled a collection, where one of the two is on a server and only its vectors can say."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llama_index.core.schema import Document
from qwen3_rag.config import RagConfig
from qwen3_rag.errors import ConfigError, UnavailableError
from qwen3_rag.identity import KEPT, ModelIdentity, encode_probes, likeness, probe_likeness
from qwen3_rag.models import identify
from qwen3_rag.session import Session
from qwen3_rag.store.opening import open_store
from safetensors.torch import load_file, save_file
from support.checkpoints import make_checkpoint
from support.model_server import ModelServer

TEXTS = [f"passage {i} about {word}" for i, word in enumerate(("tea", "cats", "milvus", "日本語", "rain", "bread"))]
Serve = Callable[[Path], ModelServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(folder)`: a running server of that embedding model."""
    with ExitStack() as running:
        yield lambda folder: running.enter_context(ModelServer("vllm", embedder=folder))


@pytest.fixture
def ours(pair: Path) -> Path:
    return pair / "embedding"


@pytest.fixture(scope="session")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same shape and tokenizer, with other weights."""
    return make_checkpoint(tmp_path_factory.mktemp("another") / "embedding", "embedding", seed=99)


def changed(folder: Path, noise: float) -> Path:
    """Weights with noise of `noise` times their own size."""
    weights, generator = load_file(folder / "model.safetensors"), torch.Generator().manual_seed(5)
    for name, tensor in weights.items():
        weights[name] = tensor + noise * tensor.std() * torch.randn(tensor.shape, generator=generator)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def local(uri: str, folder: Path, **more: Any) -> RagConfig:
    return RagConfig(uri=uri, embed_model=str(folder), rerank_model="none", device="cpu", **more)


def remote(uri: str, server: ModelServer, folder: Path, name: str = "model", **more: Any) -> RagConfig:
    return RagConfig(
        uri=uri, embed_url=server.url, embed_model=name, embed_tokenizer=str(folder), rerank_model="none", **more
    )


def fill(config: RagConfig, texts: list[str] = TEXTS) -> None:
    with Session(config) as session:
        session.ingest_documents(Document(text=text, id_=text) for text in texts)


def best(config: RagConfig, question: str = TEXTS[1]) -> str:
    with Session(config) as session:
        return session.search(question).best[0].source


@pytest.mark.parametrize("dimensions", [None, 16])
def test_a_collection_is_one_models_wherever_it_runs(lite: str, ours: Path, serve: Serve, dimensions: Any) -> None:
    served, here = remote(lite, serve(ours), ours, dimensions=dimensions), local(lite, ours, dimensions=dimensions)
    renamed = remote(lite, serve(ours), ours, "other-name", dimensions=dimensions)
    for number, pair in enumerate(((served, here), (here, served), (served, renamed))):
        filled, used = (one.model_copy(update={"collection": f"c{number}"}) for one in pair)
        fill(filled)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert best(used) == best(filled)
            fill(used, [*TEXTS[:3], "and one more about tea"])  # and goes on to be filled
        with Session(used) as session:
            assert session.store.count() == len(TEXTS) + 1
        with pytest.raises(ConfigError, match=r"dimensions.*use --dimensions"):
            best(used.model_copy(update={"dimensions": 8}))


def test_another_model_behind_an_equal_name_is_refused(lite: str, ours: Path, another: Path, serve: Serve) -> None:
    first, second = remote(lite, serve(ours), ours), remote(lite, serve(another), another)
    fill(first)
    for use in (best, fill):
        with pytest.raises(ConfigError, match=r"another model behind an equal name.*filled it.*--overwrite"):
            use(second)
    assert best(first)
    with Session(second) as session:
        assert session.ingest(["."], overwrite=True).complete


def test_another_model_is_refused_in_both_directions(lite: str, ours: Path, another: Path, serve: Serve) -> None:
    pairs = (
        (remote(lite, serve(ours), ours), local(lite, another)),
        (local(lite, ours), remote(lite, serve(another), another)),
        (remote(lite, serve(ours), ours, "one"), remote(lite, serve(another), another, "two")),
    )
    for number, pair in enumerate(pairs):
        filled, used = (one.model_copy(update={"collection": f"c{number}"}) for one in pair)
        fill(filled)
        with pytest.raises(ConfigError, match=r"cosine -?0\.\d+ for the same text"):
            best(used)


def test_a_nearly_equal_copy_is_used_with_a_warning(lite: str, ours: Path, serve: Serve, tmp_path: Path) -> None:
    near = changed(shutil.copytree(ours, tmp_path / "near"), 0.037)
    first, second = remote(lite, serve(ours), ours), remote(lite, serve(near), near)
    cosine = probe_likeness(identify(first).probes, identify(second).probes)
    assert 0.95 < cosine < 0.99
    fill(first)
    with pytest.warns(UserWarning, match=re.escape(f"somewhat other vectors (cosine {cosine:.3f}")):
        assert best(second)
    with pytest.raises(ConfigError, match="cannot be compared"):
        best(second.model_copy(update={"embed_model": "of-another-name"}))


def test_rows_say_it_where_no_probes_are_recorded(lite: str, ours: Path, another: Path, serve: Serve) -> None:
    """As in collections that were made before probes were recorded."""
    here = local(lite, ours)
    open_store(here, replace(identify(here), embed=None), create=True).close()
    with pytest.raises(ConfigError, match=r"nothing by which to compare.*--overwrite"):
        best(remote(lite, serve(ours), ours))
    fill(here)
    assert best(remote(lite, serve(ours), ours)) == best(here)
    with pytest.raises(ConfigError, match="cannot be compared"):
        best(remote(lite, serve(another), another))


def test_nothing_is_dropped_when_the_server_is_gone(lite: str, ours: Path, serve: Serve) -> None:
    server = serve(ours)
    config = remote(lite, server, ours, server_timeout=1.0)
    fill(config)
    with server.fault("dies"), pytest.raises(UnavailableError), Session(config) as session:
        session.ingest(["."], overwrite=True)
    with Session(config) as session:
        assert session.store.count() == len(TEXTS)


def test_a_foreign_collection_is_adopted_for_a_served_model(lite: str, ours: Path, another: Path, serve: Serve) -> None:
    config = remote(lite, serve(ours), ours)
    fill(config)
    with Session(config) as session:
        session.store.client.drop_collection_properties("docs", ["qwen3_rag.embedding"])
    with pytest.raises(ConfigError, match="does not say which model"):
        best(config)
    with (
        pytest.raises(ConfigError, match="its vectors are not those of model"),
        Session(remote(lite, serve(another), another)) as session,
    ):
        session.ingest(["."], adopt=True)
    with Session(config) as session:
        session.ingest(["."], adopt=True)
    assert best(config)
    with pytest.raises(ConfigError, match="another model behind an equal name"):
        best(remote(lite, serve(another), another))


def test_the_record_is_small_and_exact() -> None:
    random = np.random.default_rng(0)
    for width in (32, 256, 1024, 4096):
        vectors = random.normal(size=(2, width)) * (1 + random.normal(size=width) ** 2)
        record = encode_probes(vectors)
        assert len(record) <= 4 * 2 * KEPT // 3 + 4
        decoded = encode_probes(vectors * 3)
        assert probe_likeness(record, decoded) == pytest.approx(1)
        noisy = vectors + random.normal(size=vectors.shape) * 0.2
        exact = likeness(vectors[:, :KEPT], noisy[:, :KEPT])
        assert probe_likeness(record, encode_probes(noisy)) == pytest.approx(exact, abs=1e-3)
        assert probe_likeness(record, encode_probes(random.normal(size=(2, width)))) < 0.7
    short = encode_probes(vectors[:, :32])
    assert probe_likeness(record, short) == pytest.approx(1, abs=1e-3)


def test_names_are_compared_as_hubs_folders_and_servers_write_them() -> None:
    def named(name: str) -> ModelIdentity:
        return ModelIdentity(name, "server", 8)

    hub = named("Qwen/Qwen3-Embedding-0.6B")
    assert all(hub.same_name(named(name)) for name in ("/models/Qwen3-Embedding-0.6B/", "qwen3-embedding:0.6b"))
    assert not hub.same_name(named("Qwen/Qwen3-Embedding-4B"))
