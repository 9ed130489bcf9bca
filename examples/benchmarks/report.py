"""Results as a table to read and a JSON line to keep."""

import json
from collections.abc import Mapping, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    left = [all(not row[column][:1].isdigit() for row in rows) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(cells, widths, left, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [("-" * width) if to_left else "-" * (width - 1) + ":" for width, to_left in zip(widths, left, strict=True)]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant ones, without exponents; what was not measured is a dash."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if abs(value) >= 1e-4 else f"{value:.1e}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def heading(machine: Mapping[str, object]) -> str:
    """The machine and the versions, in two lines."""
    versions = machine["versions"]
    named = ", ".join(f"{name} {version}" for name, version in dict(versions).items())  # type: ignore[call-overload]
    return f"{machine['date']}: {machine['device']}, {machine['threads']} threads, {machine['dtype']}, \
shape {machine['shape']}\n{machine['system']}, {named}"


def json_line(machine: Mapping[str, object], rows: Sequence[Mapping[str, object]], **more: object) -> str:
    return json.dumps({**machine, **more, "rows": rows})
