"""Bytes to text: Unicode with or without a byte order mark, everything else refused with the place it fails at."""

from __future__ import annotations

import codecs

# UTF-32 comes first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class UnreadableError(ValueError):
    """The file's content is not what its kind needs; the message is the reason."""


def find_encoding(raw: bytes) -> tuple[str, int]:
    """(encoding, bytes of the mark), by the byte order mark; UTF-8 without one.

    >>> find_encoding("tea".encode("utf-8-sig")), find_encoding(b"tea")
    (('utf-8', 3), ('utf-8', 0))
    """
    return next(((name, len(mark)) for mark, name in _MARKS if raw.startswith(mark)), ("utf-8", 0))


def decode(raw: bytes) -> str:
    """The text of a whole file without its byte order mark, line ends made `\\n`.

    Raises:
        UnreadableError: binary, or not in the encoding that it says it is in.

    >>> decode("tea\\r\\n".encode("utf-16"))
    'tea\\n'
    """
    encoding, mark = find_encoding(raw)
    try:
        text = raw[mark:].decode(encoding)
    except UnicodeDecodeError as error:
        at = mark + error.start
        if encoding != "utf-8":
            raise UnreadableError(f"marked as {encoding.upper()}, but broken at byte {at}; save it as UTF-8") from None
        if b"\0" in raw:
            raise UnreadableError("binary file (it contains NUL bytes)") from None
        raise UnreadableError(f"not UTF-8 (byte {at} is 0x{raw[at]:02x}); convert it to UTF-8") from None
    if "\0" in text:
        raise UnreadableError("binary file (it contains NUL bytes), or UTF-16 without a byte order mark")
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
