"""The class of all commands: takes -v and --debug after its name too, and groups its help by section."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tf_finetune.cli.session import Session

__all__ = ["Command", "general_options"]


def general_options() -> list[click.Parameter]:
    """New -v and --debug options, which tell the session."""
    verbose = _switch(("-v", "--verbose"), "Show details, and the messages of TensorFlow.", Session.set_verbose)
    return [verbose, _switch(("--debug",), "Show the traceback of an error.", _set_debug)]


class Command(click.Command):
    """A command with the general options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(general_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes one list a section of the configuration, after the command's own options."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):
                continue  # the text above explains it
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "section_title", "Options"), []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _switch(names: tuple[str, ...], help: str, act: Callable[[Session], None]) -> click.Option:
    def callback(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            act(ctx.ensure_object(Session))

    return click.Option(names, is_flag=True, expose_value=False, is_eager=True, callback=callback, help=help)


def _set_debug(session: Session) -> None:
    session.debug = True
