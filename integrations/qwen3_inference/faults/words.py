"""How a fault is told: the check that finds it, what is wrong, what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    name: str
    """Short, for files."""
    check: str
    found: str
    remedy: str
