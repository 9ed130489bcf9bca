"""What a URL says, read the same way for databases and for language models."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine, so that no proxy is asked for.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("https://api.openai.com/v1")
    (True, False)
    """
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_password(url: str) -> str:
    """The URL as it may be shown.

    >>> without_password("https://me:secret@host/v1")
    'https://host/v1'
    """
    return re.sub(r"//[^/@]*@", "//", url)
