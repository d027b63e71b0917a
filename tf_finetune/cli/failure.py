"""From an exception to a message on standard error and an exit code."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import traceback

import click

from tf_finetune.cli.session import Session, say
from tf_finetune.errors import ConfigError, FinetuneError, TrainingStopped

__all__ = ["report"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130
CLOSED_PIPE = 141


def report(error: BaseException, session: Session) -> int:
    """Tells what went wrong, with the traceback if the session asks for it.

    Returns:
        Exit code: 1 an error, 2 a wrong option, 130 interrupted, 75 stopped and to be started again, 141 standard
        output was closed; what click says for its own ways to end.
    """
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError) and _stdout_is_closed():
        return CLOSED_PIPE
    with contextlib.suppress(
        OSError, ValueError
    ):  # standard error may be closed, and the exit code counts all the same
        _tell(error, session)
    if isinstance(error, (KeyboardInterrupt, click.Abort, TrainingStopped)):
        return int(getattr(error, "exit_code", INTERRUPTED))
    if isinstance(error, click.ClickException):
        return error.exit_code
    return USAGE if isinstance(error, ConfigError) else FAILED


def _tell(error: BaseException, session: Session) -> None:
    if session.debug and not isinstance(error, click.ClickException):
        say("".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip())
    if isinstance(error, (KeyboardInterrupt, click.Abort, TrainingStopped)):
        say(f"\ninterrupted: {error}" if str(error) else "\ninterrupted")
    else:
        say("error: " + _message(error, session))


def _message(error: BaseException, session: Session) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} See: {error.ctx.command_path} --help"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, FinetuneError):
        return str(error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__
    return first if session.debug else f"{first} (run again with --debug for the traceback)"


def _stdout_is_closed() -> bool:
    """Whether it was standard output that broke; if so, keeps Python from failing again when it flushes at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # none, or not of the system
        return False
    if not hasattr(select, "poll"):  # Windows reports a closed pipe in another way
        return False
    state = select.poll()
    state.register(descriptor, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in state.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True
