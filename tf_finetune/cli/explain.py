"""``tf-finetune explain``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.html_page import checked_page
from tf_finetune.cli.session import say, stdin_as, write_utf8
from tf_finetune.errors import DataError

__all__ = ["explain"]

STDIN = "-"
MOST_CHARACTERS = 10_000_000


@click.command("explain", cls=Command)
@click.argument("model_folder")
@click.argument("text")
@click.option("--pair", metavar="TEXT", help="The second sentence, of a model of sentence pairs.")
@click.option("--label", metavar="NAME", help="The class to explain; the most probable one by default.")
@click.option("--html", metavar="FILE", help="Write the explanation as one HTML page.")
@click.option("--overwrite", is_flag=True, help="Replace the HTML page.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(
    model_folder: str,
    text: str,
    *,
    pair: str | None,
    label: str | None,
    html: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Tell which words drove a trained model's answer to a text.

    MODEL_FOLDER is what fit wrote, saved_models/NAME. TEXT is the text itself, or - for standard input; after --, it
    may begin with a hyphen. Shows how far each word moved the logit of the class, by integrated gradients on the word
    embeddings, and checks that all words together make up the difference within 1 %. On a terminal words are coloured,
    unless NO_COLOR is set: blue towards the class, orange against it.
    """
    path = checked_page(html, overwrite=overwrite)
    text = _read_stdin() if text == STDIN else text

    from tf_finetune.explain.explain import explain as explain_text

    explanation = explain_text(model_folder, text, pair, label=label)
    if as_json:
        write_utf8()
        click.echo(json.dumps(explanation.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        from tf_finetune.explain.terminal import format_explanation

        click.echo(format_explanation(explanation, colours=_takes_colours()))
    if path is not None:
        from tf_finetune.explain.html import explanation_sections
        from tf_finetune.pages.write import write_page
        from tf_finetune.run import ModelFolder

        title = f"{ModelFolder(Path(model_folder)).name}: {explanation.predicted}"
        write_page(path, title, explanation_sections(explanation))
        say(f"Page: {path}")


def _takes_colours() -> bool:
    """Whether standard output is a terminal of someone who wants colours (no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout is not None and sys.stdout.isatty()


def _read_stdin() -> str:
    """All of standard input as one text, without the line end at its end.

    Raises:
        DataError: It is no UTF-8, or too long.
    """
    try:
        text = stdin_as("utf-8").read(MOST_CHARACTERS + 1)
    except UnicodeDecodeError as error:
        raise DataError(f"Standard input: expected a text in UTF-8. Received: {error}.") from error
    if len(text) > MOST_CHARACTERS:
        raise DataError(f"Standard input: expected one text of at most {MOST_CHARACTERS:,} characters.")
    return text.removesuffix("\n")
