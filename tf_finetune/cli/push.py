"""``tf-finetune push``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from tf_finetune.cli.command import Command
from tf_finetune.cli.session import say

if TYPE_CHECKING:
    from tf_finetune.sharing.push import Plan

__all__ = ["push"]


@click.command("push", cls=Command)
@click.argument("model_folder")
@click.argument("repository")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="Branch to push to, made if there is none.  [default: main]")
@click.option("--message", metavar="TEXT", help="Words of the commit.  [default: the model and its run]")
@click.option("--exports/--no-exports", default=True, show_default=True, help="Push the exports of the run, too.")
@click.option("--dry-run", is_flag=True, help="List what would be pushed, with its bytes; ask no one.")
def push(
    model_folder: str,
    repository: str,
    *,
    private: bool,
    revision: str | None,
    message: str | None,
    exports: bool,
    dry_run: bool,
) -> None:
    """Put a trained model on the Hugging Face hub, with its card.

    MODEL_FOLDER is what fit wrote: saved_models/NAME. REPOSITORY is ORG/NAME, made if there is none. Weights and
    tokenizer go to its root, so that from_pretrained("ORG/NAME") works, exports to exports/N, all in one commit. Texts,
    logs, checkpoints, configuration and environment are never pushed. Log in first (hf auth login), or set HF_TOKEN.
    Prints the address of the repository.
    """
    from tf_finetune.sharing.push import plan_push
    from tf_finetune.sharing.push import push as push_run

    if dry_run:
        plan = plan_push(model_folder, repository, private=private, revision=revision, message=message, exports=exports)
        for file in plan.files:
            click.echo(f"{file.size:>13,}  {file.path}")
        _say_plan(plan)
        _say_open(plan.open_places, model_folder)
        return
    pushed = push_run(
        model_folder,
        repository,
        private=private,
        revision=revision,
        message=message,
        exports=exports,
        progress=sys.stderr is not None and sys.stderr.isatty(),
    )
    if pushed.changed:
        removed = f", removed {len(pushed.removed)} of an earlier push" if pushed.removed else ""
        say(f"Pushed {len(pushed.files)} files{removed}; commit {pushed.commit[:12]}.")
    else:
        say("Nothing new: the repository has all of it.")
    _say_open(pushed.open_places, model_folder)
    click.echo(pushed.url)


def _say_plan(plan: Plan) -> None:
    size = sum(file.size for file in plan.files)
    branch = f", branch {plan.revision}" if plan.revision else ""
    private = ", private if it is new" if plan.private else ""
    say(f"{len(plan.files)} files, {size:,} bytes for {plan.repo_id}{branch}{private}: {plan.message!r}")
    say("Nothing was pushed.")


def _say_open(places: tuple[str, ...], model_folder: str) -> None:
    card = os.path.join(model_folder, "README.md")
    if places and os.path.exists(card):
        say(f"The model card waits for your words: {', '.join(places)}. Write them into {card} and push again.")
