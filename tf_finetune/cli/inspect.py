"""``tf-finetune inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.html_page import checked_page
from tf_finetune.cli.options import field_params, given_fields
from tf_finetune.cli.session import say, write_utf8
from tf_finetune.config import DataConfig, TokensConfig
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.errors import ConfigError

if TYPE_CHECKING:
    from tf_finetune.audit.clean import CleanResult

__all__ = ["inspect"]

FIELDS = (
    "validation",
    "test",
    "data_dir",
    "text_column",
    "label_column",
    "pair_column",
    "label_map",
    "encoding",
    "tsv_quoting",
    "model",
    "max_length",
    "truncate",
    "cache_dir",
)
TOKENS = ("model", "max_length", "truncate")
TEST_HELP = "Test data, in the same forms."
MODEL_HELP = "Model whose tokenizer counts the tokens: as for fit."


@click.command("inspect", cls=Command, params=field_params("data", *FIELDS, model=MODEL_HELP, test=TEST_HELP))
@click.option("--no-tokens", is_flag=True, help="Count no tokens: no model is looked for, and TensorFlow not loaded.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON, with up to 100 rows of each kind.")
@click.option("--html", metavar="FILE", help="Write what was found as one HTML page.")
@click.option("--overwrite", is_flag=True, help="Replace the HTML page.")
@click.option(
    "--write-clean",
    metavar="OUT.csv",
    help="Write the training rows without duplicates, leaks, conflicting labels and rows without words, and the "
    "dropped ones with their reasons to OUT.dropped.csv. Nothing in a row is changed.",
)
@click.pass_context
def inspect(
    ctx: click.Context, *, no_tokens: bool, as_json: bool, html: str | None, overwrite: bool, write_clean: str | None
) -> None:
    """Look for what is wrong with labelled texts, before training.

    Class balance, lengths in tokens and what --max-length cuts, duplicates and near duplicates inside and across
    splits, conflicting, rare and mistyped labels, rows without words, left-over mark-up, wrong encodings, the shortest
    and the longest texts. Without --data, looks at the embedded sample of reviews.
    """
    fields = given_fields(ctx)
    page = checked_page(html, overwrite=overwrite)
    if no_tokens and any(key in fields for key in TOKENS):
        idle = ", ".join(OPTIONS[key].flag for key in TOKENS if key in fields)
        raise ConfigError(f"{idle}: no effect with --no-tokens. Leave one of them out.")
    model = None if no_tokens else fields.pop("model", OPTIONS["model"].default)
    tokens = TokensConfig(**{key: fields.pop(key) for key in ("max_length", "truncate", "cache_dir") if key in fields})
    data = DataConfig(**fields)

    from tf_finetune.audit.clean import check_clean
    from tf_finetune.audit.clean import write_clean as write_clean_rows
    from tf_finetune.audit.inspect import inspect as inspect_data

    if write_clean is not None:
        check_clean(write_clean, data)
    audit = inspect_data(data, tokens=tokens, model=model)
    if as_json:
        write_utf8()
        click.echo(json.dumps(audit.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        from tf_finetune.audit.summary import format_audit

        click.echo(format_audit(audit))
    if page is not None:
        _write_page(page, audit, data)
    if write_clean is not None:
        for line in render(write_clean_rows(audit, data, write_clean)):
            say(line)


def render(result: CleanResult) -> list[str]:
    """What there is to say about the files of the clean rows."""
    lines = [f"{result.output}: {result.kept:,} rows kept, as they were."]
    lines.append(f"{result.dropped_output}: {sum(result.dropped.values()):,} rows dropped.")
    return lines + [f"  {count:,}: {reason}" for reason, count in result.dropped.items()]


def _write_page(path: Path, audit: Any, data: DataConfig) -> None:
    from tf_finetune.audit.html import write_page

    names = ", ".join(data.data) or "the embedded sample"
    write_page(path, audit, title=f"Data: {names}")
    say(f"Page: {path}")
