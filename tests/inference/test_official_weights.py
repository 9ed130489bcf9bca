"""Published numbers of the official models, where their weights are at hand.

QWEN3_EMBEDDING_PATH and QWEN3_RERANKER_PATH name folders; else the hub cache is asked, and never the network.
"""

import os

import numpy as np
import pytest
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from support.engines import embedder, reranker

pytestmark = pytest.mark.weights

RED_PLANET = [
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
]
GRAVITY = (
    "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is "
    "responsible for the movement of planets around the sun."
)
CHINA = "The capital of China is Beijing."


def weights(variable: str, name: str) -> str:
    if path := os.environ.get(variable):
        return path
    try:
        return snapshot_download(name, local_files_only=True)
    except LocalEntryNotFoundError:
        pytest.skip(f"{name} is neither at ${variable} nor in the hub cache")


@pytest.fixture(scope="module")
def official_embedder():
    return embedder(weights("QWEN3_EMBEDDING_PATH", "Qwen/Qwen3-Embedding-0.6B"))


@pytest.fixture(scope="module")
def official_reranker():
    return reranker(weights("QWEN3_RERANKER_PATH", "Qwen/Qwen3-Reranker-0.6B"))


def test_similarities_of_the_embedding_model_card(official_embedder):
    queries = official_embedder.embed_queries(["What is the capital of China?", "Explain gravity"])
    documents = official_embedder.embed_documents([CHINA, GRAVITY])
    np.testing.assert_allclose(queries @ documents.T, [[0.7646, 0.1414], [0.1355, 0.6000]], atol=2e-3)


def test_a_vector_of_the_tutorial(official_embedder):
    [vector] = official_embedder.embed_documents(["This is a test"])
    np.testing.assert_allclose(vector[:3], [-0.009923, -0.030248, -0.011494], atol=1e-3)


def test_logits_of_the_red_planet_passages(official_reranker):
    logits = official_reranker.logits("Which planet is known as the Red Planet?", RED_PLANET)
    np.testing.assert_allclose(logits, [-3.109298, 7.120390, -0.378755, 3.541637], atol=1e-4)


def test_probabilities_of_the_reranker_model_card(official_reranker):
    [china] = official_reranker.score("What is the capital of China?", [CHINA])
    [gravity] = official_reranker.score("Explain gravity", [GRAVITY])
    np.testing.assert_allclose([china, gravity], [0.9995, 0.9972], atol=1e-3)
