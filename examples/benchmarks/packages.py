"""Peers are installed by those who measure them; a missing one is named with its command and left out."""

from importlib import import_module, metadata
from typing import Any


class MissingPackageError(ImportError):
    """A peer's package is not installed."""


def need(module: str, package: str) -> Any:
    """The module, or an error that says what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{module} is not installed: pip install {package}") from error


def versions(*packages: str) -> dict[str, str]:
    """The installed versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
