"""``tf-finetune init``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.options import config_params, resolved_config
from tf_finetune.cli.session import say, write_utf8
from tf_finetune.config import commented_config
from tf_finetune.errors import ConfigError

__all__ = ["init"]

STDOUT = "-"


@click.command("init", cls=Command, params=config_params(without=("overwrite",)))
@click.argument("path", default="tf_finetune.yaml")
@click.option("--overwrite", is_flag=True, help="Replace the file.")
@click.pass_context
def init(ctx: click.Context, path: str, overwrite: bool) -> None:
    """Write a commented configuration file to start from.

    PATH is tf_finetune.yaml by default; - writes to standard output. The file holds every key, with its default or
    with the value of the options below.
    """
    text = commented_config(resolved_config(ctx))
    if path == STDOUT:
        if overwrite:
            raise ConfigError("--overwrite: no effect with PATH -, which writes to standard output.")
        write_utf8()
        click.echo(text, nl=False)
        return
    write_new(Path(os.path.expanduser(path)), text, overwrite=overwrite)
    click.echo(path)
    say(f"Use it with: tf-finetune fit --config {path}")


def write_new(path: Path, text: str, *, overwrite: bool) -> None:
    """Writes a text file as UTF-8, in place of another one only with `overwrite`.

    Raises:
        ConfigError: There is such a file already, or it cannot be written.
    """
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists already. Give another PATH, or --overwrite to replace it.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from error
