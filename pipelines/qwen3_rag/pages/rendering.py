"""The one way to HTML: templates that escape every value, and a policy that lets a page load nothing and run only its
own script, by its hash."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LAST_OF_PLANES = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_NOT_IN_HTML = re.compile(f"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_LAST_OF_PLANES}]")


def render(template: str, *names: str, connect: str = "'none'", **values: Any) -> str:
    """A whole page: a template with style sheets and scripts from `assets`, which may send requests to `connect`."""
    page = _environment().get_template(template)
    style, script = _code(names, ".css"), _code(names, ".js")
    return page.render(style=style, script=script, policy=policy_of(*names, connect=connect), **values)


def policy_of(*names: str, connect: str = "'none'") -> str:
    """A content security policy: these styles, these scripts, requests to `connect`, and nothing else."""
    return (
        f"default-src 'none'; style-src {_source(_code(names, '.css'))}; script-src {_source(_code(names, '.js'))}; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _code(names: Sequence[str], kind: str) -> str:
    return "\n".join(asset(name) for name in names if name.endswith(kind))


@cache
def asset(name: str) -> str:
    """A file of `assets` as text."""
    return (files("qwen3_rag.pages") / "assets" / name).read_text(encoding="utf-8").strip()


def printable(value: Any) -> Any:
    """A text as it can stand in HTML: what would turn the order of letters round is shown by its number, and what HTML
    has no place for as the replacement character.

    >>> printable("abc\\u202edef"), printable("a\\0b") == "a\\ufffdb"
    ('abc[U+202E]def', True)
    """
    if not isinstance(value, str) or hasattr(value, "__html__"):  # a number, or HTML that is made already
        return value
    value = _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)
    return _NOT_IN_HTML.sub("\ufffd", value)


def _source(text: str) -> str:
    if not text:
        return "'none'"
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("qwen3_rag.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=printable,
    )
