"""``tf-finetune config``: commands that look at the configuration."""

from __future__ import annotations

import click

from tf_finetune.cli.lazy import Entry, LazyGroup

__all__ = ["SUBCOMMANDS", "config"]

SUBCOMMANDS: dict[str, Entry] = {
    "show": Entry("tf_finetune.cli.config_show", "show", "Print the resolved configuration as YAML."),
}


@click.group("config", cls=LazyGroup, table=SUBCOMMANDS, invoke_without_command=True)
@click.pass_context
def config(ctx: click.Context) -> None:
    """Look at the configuration."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
