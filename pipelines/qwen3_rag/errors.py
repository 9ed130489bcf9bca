"""Errors that a user can act on, each with the exit code of the command line.

0 done; 2 usage or configuration; 3 done in part; 4 something needed is unavailable; 1 a bug.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of the errors that are explained in one message and never shown as a traceback."""

    exit_code = 1


class ConfigError(RagError, ValueError):
    """A setting is wrong, or two settings (or a setting and a stored collection) contradict each other."""

    exit_code = 2


class UnavailableError(RagError):
    """Something outside this process is needed and not there: database, model hub, language model."""

    exit_code = 4
