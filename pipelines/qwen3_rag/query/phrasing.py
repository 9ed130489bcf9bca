"""What is said of a row, in a line or less: the same in the terminal and on the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_rag.query.rows import Passage

HEADLINE = 60


def whereabouts(row: Passage) -> str:
    """Where in its document a passage stands; "" where nothing is known.

    >>> from qwen3_rag.query.rows import Passage
    >>> whereabouts(Passage(text="", source="tea.pdf", node_id="1", header_path="Tea > Green", position=3, page=2))
    'Tea > Green · page 2 · passage 3'
    """
    path = row.header_path or ""
    title = row.title if row.title and row.title != path.split(" > ")[0] else ""
    page = f"page {row.page}" if row.page is not None else ""
    position = f"passage {row.position}" if row.position is not None else ""
    return " · ".join(filter(None, (title, path, page, position)))


def move(before: int | None, after: int) -> str:
    """How a rank changed.

    >>> move(5, 2), move(1, 2), move(3, 3)
    ('↑3', '↓1', '=')
    """
    if before is None:
        return "new"
    return "=" if before == after else f"{'↑' if after < before else '↓'}{abs(before - after)}"


def score(value: float) -> str:
    """A score as people read it; small probabilities keep their order of magnitude.

    >>> score(0.83071), score(0.000034)
    ('0.8307', '3.4e-05')
    """
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1e}"


def headline(text: str, length: int = HEADLINE) -> str:
    """The first line of a passage without heading marks, short.

    >>> headline("## Tea\\n\\nSteep it.")
    'Tea'
    """
    first = next((line for line in text.splitlines() if line.strip()), "").lstrip("# ").strip()
    return first if len(first) <= length else first[: length - 3] + "..."


def one_line(text: str, length: int = 200) -> str:
    """The beginning of a text in one line."""
    return " ".join(text.split())[:length]
