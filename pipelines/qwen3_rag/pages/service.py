"""The page of the service: it holds no data, and asks the service that it came from."""

from __future__ import annotations

import json
from functools import cache

from qwen3_rag.pages.rendering import policy_of, render
from qwen3_rag.pages.words import function_words
from qwen3_rag.scripts import UNSPACED

_ASSETS = ("base.css", "lists.css", "service.css", "lighting.js", "words.js", "lists.js", "service.js")
_CONNECT = "'self'"


@cache
def service_page() -> tuple[str, dict[str, str]]:
    """The page, and the headers to send it with.

    >>> page, headers = service_page()
    >>> "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    True
    """
    words = {"functionWords": sorted(function_words()), "unspaced": UNSPACED}
    # As JSON within HTML: nothing in it may end its element.
    data = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    page = render("service.html", *_ASSETS, connect=_CONNECT, data=data)
    return page, {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"{policy_of(*_ASSETS, connect=_CONNECT)}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
