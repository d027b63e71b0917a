"""``tf-finetune inspect``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tf_finetune.cli import label_errors
from tf_finetune.cli.command import Command
from tf_finetune.cli.html_page import checked_page
from tf_finetune.cli.options import field_params, given_fields, resolved_config
from tf_finetune.cli.session import say, write_utf8
from tf_finetune.config import DataConfig, TokensConfig
from tf_finetune.config.catalog import OPTIONS
from tf_finetune.errors import ConfigError

if TYPE_CHECKING:
    from tf_finetune.audit.clean import CleanResult
    from tf_finetune.noise import LabelErrors

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
    *label_errors.TRAINING,
)
TOKENS = ("model", "max_length", "truncate")
HELPS = {
    "test": "Test data, in the same forms.",
    "model": "Model whose tokenizer counts the tokens, and that is trained for --label-errors: as for fit.",
    "output": "Model folder that keeps the models' answers and label_errors.csv. Default: saved_models/NAME.",
}


@click.command("inspect", cls=Command, params=field_params("data", *FIELDS, **HELPS))
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
@click.option(
    "--label-errors",
    "looks_for_errors",
    is_flag=True,
    help="Look for labels that are likely wrong, too: train a model for each fold of the training rows on the others, "
    "and ask it. Takes as long as that many runs of fit.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    help=f"How many models --label-errors trains.  [default: {label_errors.FOLDS}]",
)
@click.pass_context
def inspect(
    ctx: click.Context,
    *,
    no_tokens: bool,
    as_json: bool,
    html: str | None,
    overwrite: bool,
    write_clean: str | None,
    looks_for_errors: bool,
    folds: int | None,
) -> None:
    """Look for what is wrong with labelled texts, before training.

    Class balance, lengths in tokens and what --max-length cuts, duplicates and near duplicates inside and across
    splits, conflicting, rare and mistyped labels, rows without words, left-over mark-up, wrong encodings, the shortest
    and the longest texts; with --label-errors, labels that are likely wrong. Without --data, looks at the embedded
    sample of reviews.
    """
    fields = given_fields(ctx)
    page = checked_page(html, overwrite=overwrite)
    if not looks_for_errors:
        label_errors.refuse_idle(fields, folds)
    if no_tokens:
        _refuse_idle(fields, looks_for_errors)
    model = None if no_tokens else fields.get("model", OPTIONS["model"].default)
    tokens = TokensConfig(**{key: fields[key] for key in ("max_length", "truncate", "cache_dir") if key in fields})
    data = DataConfig(**{key: value for key, value in fields.items() if OPTIONS[key].section == "data"})

    from tf_finetune.audit.clean import check_clean
    from tf_finetune.audit.clean import write_clean as write_clean_rows
    from tf_finetune.audit.inspect import inspect as inspect_data

    if write_clean is not None:
        check_clean(write_clean, data)
    audit = inspect_data(dataclasses.replace(data, max_train_samples=None), tokens=tokens, model=model)
    if not as_json:
        from tf_finetune.audit.summary import format_audit

        click.echo(format_audit(audit))
    if write_clean is not None:
        for line in render(write_clean_rows(audit, data, write_clean)):
            say(line)
    found = label_errors.find(resolved_config(ctx), folds) if looks_for_errors else None
    if as_json:
        write_utf8()
        values = audit.to_dict() | ({} if found is None else {"label_errors": found.to_dict()})
        click.echo(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False))
    elif found is not None:
        click.echo(f"\n{label_errors.render(found)}")
    if page is not None:
        _write_page(page, audit, found, data)


def _refuse_idle(fields: dict[str, Any], looks_for_errors: bool) -> None:
    """Refuses what has no effect where no tokens are counted."""
    idle = [OPTIONS[key].flag for key in TOKENS if key in fields] + ["--label-errors"] * looks_for_errors
    if idle:
        raise ConfigError(f"{', '.join(idle)}: no effect with --no-tokens. Leave one of them out.")


def render(result: CleanResult) -> list[str]:
    """What there is to say about the files of the clean rows."""
    lines = [f"{result.output}: {result.kept:,} rows kept, as they were."]
    lines.append(f"{result.dropped_output}: {sum(result.dropped.values()):,} rows dropped.")
    return lines + [f"  {count:,}: {reason}" for reason, count in result.dropped.items()]


def _write_page(path: Path, audit: Any, found: LabelErrors | None, data: DataConfig) -> None:
    from tf_finetune.audit.html import audit_sections
    from tf_finetune.pages.write import write_page

    sections = audit_sections(audit)
    if found is not None:
        from tf_finetune.noise.html import label_error_section

        sections.append(label_error_section(found))
    names = ", ".join(data.data) or "the embedded sample"
    write_page(path, f"Data: {names}", sections)
    say(f"Page: {path}")
