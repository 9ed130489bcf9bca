"""Front matter: the block of keys at the top of a Markdown file, told apart from text between two rules.

It is taken off only where it is what it looks like: `---` up to `---` or `...` that parses as a YAML mapping, or `+++`
up to `+++` that parses as TOML. Everything else stays in the text.
"""

from __future__ import annotations

import re
import tomllib

import yaml

MAX_CHARS = 65_536
"""A longer block is text: parsing YAML costs about a second for so much."""

_BLOCK = re.compile(r"(---|\+\+\+)[ \t]*\n")
_END = {"---": re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.M), "+++": re.compile(r"^\+\+\+[ \t]*(?:\n|\Z)", re.M)}
_KEY = re.compile(r"[\w.$@/-]+(?: [\w.$@/-]+){0,2}")


KEPT = ("title", "author", "date")
"""Keys that become a document's metadata, by which passages can be filtered. Values are one line of text."""


def split_front_matter(text: str) -> tuple[dict[str, str], str]:
    """(KEPT keys with their values, text without the front matter); ({}, the whole text) where there is none.

    >>> split_front_matter("---\\ntitle: Tea\\n---\\nSteep.")
    ({'title': 'Tea'}, 'Steep.')
    >>> split_front_matter("---\\n\\nNo keys here.\\n\\n---\\nText.")
    ({}, '---\\n\\nNo keys here.\\n\\n---\\nText.')
    """
    start = _BLOCK.match(text)
    end = start and _END[start[1]].search(text, start.end(), start.end() + MAX_CHARS)
    if not start or not end:
        return {}, text
    block = text[start.end() : end.start()]
    if not block.strip():
        # Two rules with nothing between them: an empty block. With a blank line first, they are rules (as in Pandoc).
        return {}, text[end.end() :] if not block else text
    try:
        found = _toml_values(block) if start[1] == "+++" else _yaml_values(block)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        found = None
    if found is None:
        return {}, text
    values = {key: " ".join((found.get(key) or found.get(key.title()) or "").split()) for key in KEPT}
    return {key: value for key, value in values.items() if value}, text[end.end() :]


def _yaml_values(block: str) -> dict[str, str] | None:
    """Keys with plain values as they are written; None unless `block` is a mapping of keys. Nothing is constructed from
    the nodes, so that neither tags nor aliases have an effect."""
    if not block.split("\n", 1)[0].strip():
        return None
    root = yaml.compose(block, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    values = {key.value: value for key, value in root.value if isinstance(key, yaml.ScalarNode)}
    # "The code word is: marmalade" is a mapping too, for YAML.
    if len(values) < len({id(key) for key, _ in root.value}) or not all(_KEY.fullmatch(key) for key in values):
        return None
    if all(" " in key for key in values):
        return None
    return {
        key: value.value
        for key, value in values.items()
        if isinstance(value, yaml.ScalarNode) and value.tag != "tag:yaml.org,2002:null"
    }


def _toml_values(block: str) -> dict[str, str] | None:
    values = tomllib.loads(block)
    plain = {key: value for key, value in values.items() if not isinstance(value, list | dict)}
    return {key: str(value) for key, value in plain.items()} if values else None
