"""A folder of small and large files on a disk or in an object store, the same from every machine."""

from __future__ import annotations

import os
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from qwen3_rag.addresses import without_password
from qwen3_rag.errors import ConfigError, UnavailableError


class Folder:
    """A folder by its path or URL: `file://`, `s3://`, `gs://`, and whatever fsspec has a package for.

    A file is there whole or not at all: on disks it is renamed into its place, object stores do it so by themselves.

    >>> folder = Folder("./work")
    >>> folder.write("a/one.json", b"{}")
    >>> folder.names("a"), folder.read("a/one.json")
    (['one.json'], b'{}')

    Raises:
        ConfigError: nothing can open such a URL.
        UnavailableError: from every method: the place cannot be reached, read or written.
    """

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else os.path.abspath(os.path.expanduser(url))
        self.files, self.path = _open(self.url)
        self._is_local = isinstance(self.files, fs.LocalFileSystem)
        self.is_bucket = not self._is_local
        """The first part of `path` is a bucket."""

    def write(self, name: str, content: bytes) -> None:
        place = f"{self.path}/{name}"
        target = f"{place}.{uuid.uuid4().hex[:8]}.part" if self._is_local else place
        try:
            self.files.create_dir(os.path.dirname(place), recursive=True)
            with self.files.open_output_stream(target) as stream:
                stream.write(content)
            if self._is_local:
                self.files.move(target, place)
        except OSError as error:
            raise self._failed("written", name, error) from error

    def read(self, name: str) -> bytes:
        try:
            with self.files.open_input_stream(f"{self.path}/{name}") as stream:
                return bytes(stream.read())
        except OSError as error:
            raise self._failed("read", name, error) from error

    def has(self, name: str) -> bool:
        try:
            return bool(self.files.get_file_info(f"{self.path}/{name}").type == fs.FileType.File)
        except OSError as error:
            raise self._failed("read", name, error) from error

    def names(self, sub: str) -> list[str]:
        """The names of the files in a sub-folder, sorted; none where there is no such folder."""
        try:
            found = self.files.get_file_info(fs.FileSelector(f"{self.path}/{sub}", allow_not_found=True))
        except OSError as error:
            raise self._failed("read", sub, error) from error
        return sorted(one.base_name for one in found if one.type == fs.FileType.File)

    def remove(self, name: str) -> None:
        """Delete a file, where it is there."""
        try:
            self.files.delete_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("deleted", name, error) from error

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write(name, sink.getvalue().to_pybytes())

    def read_table(self, name: str) -> pa.Table:
        return pq.read_table(pa.BufferReader(self.read(name)))

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]

    def _failed(self, what: str, name: str, error: OSError) -> UnavailableError:
        shown = without_password(self.url)
        return UnavailableError(f"{name} in {shown} cannot be {what}: {error}; every machine has to reach that folder")


def _open(url: str) -> tuple[fs.FileSystem, str]:
    """The file system behind a path or URL, and the path in it, without a slash at its end."""
    if "://" not in url:
        return fs.LocalFileSystem(), url.rstrip("/")
    try:
        try:
            files, path = fs.FileSystem.from_uri(url)
        except pa.ArrowInvalid:  # not one of Arrow's own
            from fsspec.core import url_to_fs

            other, path = url_to_fs(url)
            files = fs.PyFileSystem(fs.FSSpecHandler(other))
    except OSError as error:
        raise UnavailableError(f"{without_password(url)} cannot be opened: {error}") from error
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"{without_password(url)!r} cannot be opened: {error}; give a folder, s3://… or gs://…"
        ) from None
    return files, path.rstrip("/")
