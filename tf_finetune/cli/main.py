"""The entry point ``tf-finetune``: the table of commands, and what becomes of errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tf_finetune.cli.failure import report
from tf_finetune.cli.lazy import Entry, LazyGroup
from tf_finetune.cli.session import Session, log_to_stderr, write_any_text

__all__ = ["COMMANDS", "cli", "main"]

PROGRAM = "tf-finetune"

COMMANDS: dict[str, Entry] = {
    "fit": Entry("tf_finetune.cli.fit", "fit", "Fine-tune a classifier on labelled texts, and export it."),
    "tune": Entry("tf_finetune.cli.tune", "tune", "Search for better hyperparameters, and train with the best."),
    "inspect": Entry(
        "tf_finetune.cli.inspect", "inspect", "Look for what is wrong with labelled texts, before training."
    ),
    "launch": Entry("tf_finetune.cli.launch", "launch", "Train one model in several processes on this machine."),
    "reproduce": Entry(
        "tf_finetune.cli.reproduce", "reproduce", "Make a finished run again, and compare both to the last bit."
    ),
    "calibrate": Entry(
        "tf_finetune.cli.calibrate", "calibrate", "Make the probabilities of a trained model believable."
    ),
    "evaluate": Entry("tf_finetune.cli.evaluate", "evaluate", "Score a trained model on labelled texts."),
    "compare": Entry(
        "tf_finetune.cli.compare", "compare", "Tell which of two trained models is better, and how sure that is."
    ),
    "predict": Entry("tf_finetune.cli.predict", "predict", "Classify texts with a trained model."),
    "explain": Entry(
        "tf_finetune.cli.explain", "explain", "Tell which words drove a trained model's answer to a text."
    ),
    "report": Entry("tf_finetune.cli.report", "report", "Write a report of a trained model as one HTML page."),
    "export": Entry(
        "tf_finetune.cli.export", "export", "Write a SavedModel of a trained model for TensorFlow Serving."
    ),
    "verify": Entry("tf_finetune.cli.verify", "verify", "Prove an export: load it as a server does, and compare."),
    "serve": Entry("tf_finetune.cli.serve", "serve", "Serve a trained model over the REST API of TensorFlow Serving."),
    "smoke": Entry("tf_finetune.cli.smoke", "smoke", "Compare a model server with the recorded answers of an export."),
    "versions": Entry(
        "tf_finetune.cli.versions", "versions", "List the exports of a model, and which of them are served."
    ),
    "promote": Entry("tf_finetune.cli.promote", "promote", "Have a version served, as stable or under another label."),
    "rollback": Entry("tf_finetune.cli.rollback", "rollback", "Go back to the version that was stable before."),
    "prune": Entry("tf_finetune.cli.prune", "prune", "Remove old exports; never one that is served or labelled."),
    "push": Entry("tf_finetune.cli.push", "push", "Put a trained model on the Hugging Face hub, with its card."),
    "doctor": Entry("tf_finetune.cli.doctor", "doctor", "Find out why it does not work here, and how to mend it."),
    "init": Entry("tf_finetune.cli.init", "init", "Write a commented configuration file to start from."),
    "config": Entry("tf_finetune.cli.config", "config", "Look at the configuration."),
}


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib import metadata

    try:
        version = metadata.version("tf_finetune")
    except metadata.PackageNotFoundError:
        version = "(a checkout that is not installed)"
    click.echo(f"{PROGRAM} {version}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Fine-tune Transformer text classifiers in Keras and TensorFlow, and serve them.

    Results go to standard output, messages to standard error. Exit codes: 0 done, 1 error, 2 wrong option.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: Words after the program name; those of the process by default.

    Returns:
        The exit code.
    """
    session = Session()
    write_any_text()
    with log_to_stderr():
        try:
            words = list(sys.argv[1:] if args is None else args)
            with cli.make_context(PROGRAM, words, obj=session) as ctx:
                cli.invoke(ctx)
            if sys.stdout is not None:  # a shell may close it: >&-
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            return report(error, session)
    return 0
