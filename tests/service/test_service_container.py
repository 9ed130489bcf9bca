"""The container's files: linted, and true to the service. No container runs here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import SecretStr
from qwen3_rag.cli.program import app
from qwen3_rag.config import RagConfig
from support.service import Running

from .conftest import Serving

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "examples" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"])


def test_the_dockerfile_is_linted() -> None:
    script = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert script, "the extra test brings hadolint"
    done = subprocess.run([script, str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r"'\.\[(.*?)\]'", DOCKERFILE)
    assert extras
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
    torch = re.search(r"torch==\S+", DOCKERFILE)
    assert torch
    assert torch[0] in (ROOT / "constraints.txt").read_text().splitlines()
    assert re.search(r"^USER (?!0|root)", DOCKERFILE, re.MULTILINE)
    for copied in re.findall(r"^COPY (examples\S+) ", DOCKERFILE, re.MULTILINE):
        assert (ROOT / copied).is_file()


def options_of(command: str) -> set[str]:
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    return {name for parameter in found.params for name in parameter.opts}


def test_commands_and_variables_are_those_of_the_service(services: dict[str, Any]) -> None:
    ours = services["qwen3-rag"]
    in_image = re.search(r"^CMD \[(.*)\]$", DOCKERFILE, re.MULTILINE)
    assert in_image
    for command in (ours["command"], re.findall(r'"(.*?)"', in_image[1])):
        assert command[0] == "serve"
        assert {one for one in command if one.startswith("--")} <= options_of("serve")
    settings = {f"QWEN3_RAG_{name.upper()}" for name in RagConfig.model_fields} | {"OPENAI_API_KEY"}
    named = set(ours["environment"]) | set(re.findall(r"QWEN3_RAG_[A-Z_]+", DOCKERFILE + PROBE))
    assert named <= settings
    assert ours["environment"]["QWEN3_RAG_URI"] == "http://milvus:19530"


def test_it_is_closed_up(services: dict[str, Any]) -> None:
    ours = services["qwen3-rag"]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in ours["ports"])
    assert "ports" not in services["milvus"]
    assert ":?" in ours["environment"]["QWEN3_RAG_API_TOKEN"], "without a token compose stops"
    assert ours["depends_on"]["milvus"]["condition"] == "service_healthy"
    for service in services.values():
        for volume in service["volumes"]:
            if volume.startswith("./") and "docs" not in volume:
                assert (DOCKER / volume.split(":")[0]).is_file()


PROBE = (DOCKER / "healthy.py").read_text()


def test_the_health_check_tells_a_service_from_none(serving: Serving) -> None:
    service: Running = serving(token=SecretStr("correct-horse"))

    def check(url: str, token: str) -> int:
        command = [sys.executable, str(DOCKER / "healthy.py"), url]
        return subprocess.run(command, env={"QWEN3_RAG_API_TOKEN": token}, capture_output=True, check=False).returncode

    assert check(service.url, "correct-horse") == 0
    assert check(service.url, "wrong") == 1
    assert check("http://127.0.0.1:9", "correct-horse") == 1
