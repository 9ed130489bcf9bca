"""A page as a strict parser of the HTML standard reads it, and what holds for every page of ours."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = {
    "script": "<script>document.title='owned'</script>",
    "end of script": "</script><script>document.title='owned'</script>",
    "end of style": "</style></title></template></textarea><img src=x onerror=document.title='owned'>",
    "handler": '" onmouseover="document.title=\'owned\'" x="',
    "quote": "' autofocus onfocus=document.title='owned' '",
    "javascript url": "javascript:document.title='owned'",
    "data url": "data:text/html,<script>document.title='owned'</script>",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} {{ config }}",
    "comment": "<!--><script>document.title='owned'</script>--> <![CDATA[ ]]>",
    "svg": "<svg onload=document.title='owned'><use href='http://evil.example/x.svg#a'/></svg>",
    "entity": "&lt;b&gt; &amp;amp; &#x3c;script&#x3e;",
    "bidi": "invoice\u202egnp.exe \u2066hidden\u2069 \u202atail",
    "controls": "nul\0 bell\x07 escape\x1b[31m del\x7f c1\x85 not a character\ufffe\U0001ffff",
    "half a pair": "lone \ud800 surrogate",
    "emoji": "👩\u200d👩\u200d👧 🏳️\u200d🌈",
    "long word": "x" * 20_000,
}
"""Texts that documents and questions may hold."""


def parsed(page: str) -> Element:
    """The tree. Any parse error of the standard is a failure, and so is what all pages promise."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    root: Element = parser.parse(page)
    names = [one.get("id") for one in root.iter() if one.get("id")]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    for one in elements(root):
        assert not [name for name in one.attrib if name.startswith("on") or name == "style"], f"inline code in {one}"
        for name in ("src", "action", "data", "srcset", "poster"):
            assert one.get(name) is None, f"{one.tag} loads {one.get(name)}"
        if (target := one.get("href")) is not None:
            assert re.fullmatch(r"#[\w-]*", target), f"leads out of the page: {target}"
            assert target in ("#", *(f"#{name}" for name in names)), f"leads nowhere: {target}"
    _check_policy(root)
    return root


def elements(root: Element) -> list[Element]:
    """All elements; html5lib's comments have no name."""
    return [one for one in root.iter() if isinstance(one.tag, str)]


def find(root: Element, tag: str, name: str = "") -> list[Element]:
    """Elements of a tag, with a class where it is given; within SVG as well."""
    found = [one for one in elements(root) if one.tag in (tag, SVG + tag)]
    return [one for one in found if not name or name in (one.get("class") or "").split()]


def text(one: Element) -> str:
    return "".join(one.itertext())


def _check_policy(root: Element) -> None:
    """Nothing is loaded, and style and script are the ones that the policy names."""
    [policy] = [one.get("content") or "" for one in find(root, "meta") if one.get("http-equiv")]
    rules: dict[str, Any] = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert rules["connect-src"] in (["'none'"], ["'self'"])
    for tag in ("style", "script"):
        codes = [one.text or "" for one in find(root, tag) if one.get("type") != "application/json"]
        hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes]
        assert rules[f"{tag}-src"] == ([f"'sha256-{one}'" for one in hashes] or ["'none'"])
        for code in codes:
            assert not re.search(
                r"https?://|@import|url\(|innerHTML|outerHTML|insertAdjacentHTML|\beval\b", code.replace(SVG[1:-1], "")
            )
