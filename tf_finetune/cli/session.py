"""What one call of the command line was told about its talk, and the log on standard error."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

import click

from tf_finetune.errors import DataError

__all__ = ["LOGGER", "VERBOSE_VARIABLE", "Session", "log_to_stderr", "say", "stdin_as", "write_any_text", "write_utf8"]

LOGGER = "tf_finetune"
VERBOSE_VARIABLE = "TF_FINETUNE_VERBOSE"


@dataclass
class Session:
    """Options that every command takes.

    Attributes:
        debug: Whether errors come with their traceback.
    """

    debug: bool = False

    def set_verbose(self) -> None:
        """Shows details, and the chatter of TensorFlow: its door reads the variable before it opens."""
        os.environ[VERBOSE_VARIABLE] = "1"
        logging.getLogger(LOGGER).setLevel(logging.DEBUG)


class _Formatter(logging.Formatter):
    """Plain messages; warnings and errors carry their level."""

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        return f"{record.levelname.lower()}: {message}" if record.levelno >= logging.WARNING else message


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Sends the package's log to standard error while the body runs."""
    logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # TensorFlow's absl gives the root logger a handler, which would say all of it again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def stdin_as(encoding: str) -> TextIO:
    """Standard input as strict text in `encoding`.

    Raises:
        DataError: There is no standard input.
    """
    if not isinstance(sys.stdin, io.TextIOWrapper):
        raise DataError("Standard input: expected lines of text. Received: nothing, it is closed.")
    sys.stdin.reconfigure(encoding=encoding, errors="strict")
    return sys.stdin


def write_utf8() -> None:
    """Switches standard output to UTF-8, which JSON and YAML are, whatever the locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def write_any_text() -> None:
    """Lets standard output escape what its encoding lacks: a strange label must not fail a run in its last line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(message: str) -> None:
    """One line of talk, on standard error."""
    click.echo(message, err=True)
