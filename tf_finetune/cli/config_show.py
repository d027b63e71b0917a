"""``tf-finetune config show``."""

from __future__ import annotations

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.options import config_params, resolved_config
from tf_finetune.cli.session import write_utf8
from tf_finetune.config import write_config

__all__ = ["show"]


@click.command("show", cls=Command, params=config_params())
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print the resolved configuration as YAML.

    Takes all options of fit, and prints what fit would use; the output is itself a valid --config.
    """
    config = resolved_config(ctx)
    write_utf8()
    click.echo(write_config(config), nl=False)
