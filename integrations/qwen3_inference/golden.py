"""Numbers that were published of the 0.6B models. There are none of 4B and 8B: `verify --write` makes a file."""

import numpy as np

EMBEDDER, RERANKER = "Qwen/Qwen3-Embedding-0.6B", "Qwen/Qwen3-Reranker-0.6B"
EMBEDDER_WIDTH = 1024
SIMILARITIES = np.array([[0.7646, 0.1414], [0.1355, 0.6000]])
"""Of the card's two queries (China, gravity) with its two documents (China, gravity)."""
TEST = "This is a test"
TEST_BEGINS = np.array([-0.009923, -0.030248, -0.011494])
"""The first numbers of the vector of TEST."""
_RED_PLANET_LOGITS = np.array([-3.109298, 7.120390, -0.378755, 3.541637])
PROBABILITIES = {
    **dict(enumerate(1 / (1 + np.exp(-_RED_PLANET_LOGITS)))),  # Venus, Mars, Jupiter, Saturn
    4: 0.9995,  # China and its document
    6: 0.9972,  # gravity and its document
}
"""By the place in `verify.probes.PAIRS`."""
CLOSE, FAR = 0.02, 0.05
"""Rounding and 8-bit weights stay within the first; what is over the second is another model, prompt or pooling."""
