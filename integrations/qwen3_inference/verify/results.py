"""What `verify` found: one verdict a check, in words."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from qwen3_inference.faults.words import Fault

Verdict = Literal["ok", "wrong", "unknown", "not applicable"]
EMBEDDING_CHECKS = (
    "model", "eos", "pooling", "norm", "prompt", "newlines", "dimensions", "truncation", "batch", "order", "numbers",
    "base64",
)  # fmt: skip
RERANK_CHECKS = (
    "model", "template", "labels", "scale", "instruction", "control_tokens", "truncation", "batch", "order", "numbers",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """`remedy`: what to do about "wrong", and what would decide "unknown"."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """The checks of both kinds of endpoints, in their fixed order; empty for a kind that was not asked for."""

    embedding: tuple[Check, ...] = ()
    rerank: tuple[Check, ...] = ()

    @property
    def verdict(self) -> Literal["right", "wrong", "unknown"]:
        """Wrong where a check is, unknown where one could not be decided."""
        verdicts = {one.verdict for one in (*self.embedding, *self.rerank)}
        if "wrong" in verdicts:
            return "wrong"
        return "unknown" if "unknown" in verdicts or not verdicts else "right"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "verdict": self.verdict,
            "embedding": [asdict(one) for one in self.embedding],
            "rerank": [asdict(one) for one in self.rerank],
        }


MEND_FIRST = "mend what is wrong first"


class Findings:
    """Collects one verdict for each of some checks; the first "wrong" of a check stays, whatever is found later."""

    def __init__(self, checks: Iterable[str]) -> None:
        self._found: dict[str, Check | None] = dict.fromkeys(checks)

    def __contains__(self, check: str) -> bool:
        return self._found[check] is not None

    def ok(self, check: str, found: str, remedy: str = "") -> None:
        self._put(Check(check, "ok", found, remedy))

    def wrong(self, check: str, found: str, remedy: str) -> None:
        self._put(Check(check, "wrong", found, remedy))

    def unknown(self, check: str, found: str, decides: str) -> None:
        self._put(Check(check, "unknown", found, decides))

    def not_applicable(self, check: str, why: str, remedy: str = "") -> None:
        self._put(Check(check, "not applicable", why, remedy))

    def fault(self, fault: Fault, how: str = "") -> None:
        """The fault, with how it was seen."""
        self.wrong(fault.check, f"{fault.found} ({how})" if how else fault.found, fault.remedy)

    def leave(self, why: str, decides: str) -> None:
        """What nothing was found about so far stays unknown, because of `why`."""
        for check, found in self._found.items():
            if found is None:
                self.unknown(check, why, decides)

    def is_wrong(self, *checks: str) -> bool:
        """Whether one of them is."""
        return any(found is not None and found.verdict == "wrong" for found in map(self._found.get, checks))

    def all(self, decides: str) -> tuple[Check, ...]:
        """In order; what nothing was found about is unknown, and `decides` says what would tell."""
        return tuple(
            found or Check(name, "unknown", "cannot be seen from outside", decides)
            for name, found in self._found.items()
        )

    def _put(self, check: Check) -> None:
        if check.check not in self._found:
            raise KeyError(check.check)
        if not self.is_wrong(check.check):
            self._found[check.check] = check
