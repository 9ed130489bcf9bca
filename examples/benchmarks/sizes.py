"""What corpora of 10^4, 10^6 and 10^8 passages take: hours by measured rates, bytes by dimension and type.

    python examples/benchmarks/sizes.py

The table is the one in examples/scale.md. The rate is that of the report in results/, times the machines: files of
shards share nothing while they are embedded. For a machine that is not measured here, take what `qwen3-rag ingest
--dry-run` says on it, and give it with --rate.
"""

import argparse
import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
REPORT = RESULTS / "2026-11-23-amd-epyc-2-cores.json"
TOKENS = 158.7
"""Of a passage: a Cranfield abstract by the official tokenizer (15,874 in 100)."""
ROW_BYTES = 2_988
"""Of a passage's text and metadata in Milvus: `ingest ../shared/data/cranfield --dry-run` says 4,177,356 for 1,398."""
PASSAGES = (10_000, 1_000_000, 100_000_000)
VECTORS = ((1024, "FLOAT_VECTOR"), (1024, "FLOAT16_VECTOR"), (256, "FLOAT_VECTOR"), (256, "FLOAT16_VECTOR"))
NUMBER_BYTES = {"FLOAT_VECTOR": 4, "FLOAT16_VECTOR": 2}


def measured_rate() -> float:
    """Tokens a second of the 0.6B on the report's machine."""
    rows = [row for run in json.loads(REPORT.read_text()) for row in run.get("rows", [])]
    (found,) = [row for row in rows if (row.get("work"), row.get("method")) == ("embed-abstracts", "ours")]
    return float(found["tokens_per_second"])


def duration(seconds: float) -> str:
    """
    >>> duration(90), duration(7200), duration(90 * 86400)
    ('2 min', '2 h', '90 days')
    """
    for unit, length in (("days", 86_400), ("h", 3_600)):
        if seconds >= 2 * length or (unit == "h" and seconds >= 5_400):
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def size(count: float) -> str:
    """
    >>> size(40_960_000), size(4.096e11)
    ('41 MB', '410 GB')
    """
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if count >= length:
            return f"{count / length:,.1f} {unit}" if count < 10 * length else f"{count / length:,.0f} {unit}"
    return f"{count / 1e3:.0f} kB"


def table(rates: dict[str, float]) -> str:
    """In Markdown."""
    heads = [f"10^{len(str(count)) - 1} passages" for count in PASSAGES]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name, rate in rates.items():
        times = (duration(count * TOKENS / rate) for count in PASSAGES)
        lines.append(f"| {name} | {' | '.join(times)} |")
    for dimension, kind in VECTORS:
        sizes = (size(count * dimension * NUMBER_BYTES[kind]) for count in PASSAGES)
        lines.append(f"| {dimension} dimensions as {kind} | {' | '.join(sizes)} |")
    lines.append(f"| text and metadata | {' | '.join(size(count * ROW_BYTES) for count in PASSAGES)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, help="tokens a second of one more kind of worker, as --dry-run says")
    parser.add_argument("--workers", type=int, default=1, help="how many of it (1)")
    options = parser.parse_args()
    rate = measured_rate()
    rates = {
        f"2 cores, {rate:,.0f} tokens/s": rate,
        "one server of 32 cores": 16 * rate,
        "a rack of 20 such servers": 320 * rate,
    }
    if options.rate:
        rates[f"{options.workers} x {options.rate:,.0f} tokens/s"] = options.workers * options.rate
    print(table(rates))


if __name__ == "__main__":
    main()
