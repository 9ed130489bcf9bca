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


def split_front_matter(text: str) -> tuple[str | None, str]:
    """(title, text without the front matter); (None, the whole text) where there is none.

    >>> split_front_matter("---\\ntitle: Tea\\n---\\nSteep.")
    ('Tea', 'Steep.')
    >>> split_front_matter("---\\n\\nNo keys here.\\n\\n---\\nText.")
    (None, '---\\n\\nNo keys here.\\n\\n---\\nText.')
    """
    start = _BLOCK.match(text)
    end = start and _END[start[1]].search(text, start.end(), start.end() + MAX_CHARS)
    if not start or not end:
        return None, text
    block = text[start.end() : end.start()]
    if not block.strip():
        # Two rules with nothing between them: an empty block. With a blank line first, they are rules (as in Pandoc).
        return None, text[end.end() :] if not block else text
    try:
        found = _toml_title(block) if start[1] == "+++" else _yaml_title(block)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        found = None
    return (None, text) if found is None else (found or None, text[end.end() :])


def _yaml_title(block: str) -> str | None:
    """The title, empty when there is none; None unless `block` is a mapping of keys. Nothing is constructed from the
    nodes, so that neither tags nor aliases have an effect."""
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
    title = values.get("title", values.get("Title"))
    if not isinstance(title, yaml.ScalarNode) or title.tag == "tag:yaml.org,2002:null":
        return ""
    return " ".join(title.value.split())


def _toml_title(block: str) -> str | None:
    values = tomllib.loads(block)
    title = values.get("title")
    return None if not values else " ".join(title.split()) if isinstance(title, str) else ""
