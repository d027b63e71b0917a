"""`watching`: a table of the trials that is kept up to date while a search runs, read from its folder alone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from tf_finetune.errors import RunError
from tf_finetune.tuning.assignment import read_history
from tf_finetune.tuning.folder import TuneFolder
from tf_finetune.tuning.ledger import TrialLedger
from tf_finetune.tuning.objective import best_trial
from tf_finetune.tuning.search import Search
from tf_finetune.tuning.trial import FAILED, RUNNING, Trial

__all__ = ["watching"]

EVERY_SECONDS = 1.0
SHOWN = 20
"""Trials in the table: the newest ones, and the best."""


@contextlib.contextmanager
def watching(folder: TuneFolder, search: Search, stream: TextIO | None) -> Iterator[None]:
    """Shows how a search goes, while the body runs.

    Args:
        folder: The search's folder.
        search: What is searched.
        stream: Where to; nothing is shown without it.
    """
    if stream is None:
        yield
        return
    over = threading.Event()
    known = {trial.id: trial.status for trial in _read(folder)}
    show, extra = (_table, {}) if stream.isatty() else (_lines, {"known": known})
    thread = threading.Thread(target=show, args=(folder, search, stream, over), kwargs=extra, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _lines(
    folder: TuneFolder, search: Search, stream: TextIO, over: threading.Event, *, known: Mapping[str, str]
) -> None:
    """A line for each trial that begins, and for each that ends; those `known`, by number to status, were told."""
    said = dict(known)
    while True:
        done = over.wait(EVERY_SECONDS)
        trials = _read(folder)
        for trial in trials:
            if trial.id not in said:
                stream.write(f"trial {trial.id}: {_values(trial)}\n")
                said[trial.id] = RUNNING
            if trial.status != said[trial.id]:
                said[trial.id] = trial.status
                stream.write(_outcome(trial, search, best_trial(trials, search.objective)) + "\n")
            stream.flush()
        if done:
            return


def _outcome(trial: Trial, search: Search, best: Trial | None) -> str:
    if trial.status == FAILED:
        return f"trial {trial.id} failed after {trial.seconds:.0f} s: {trial.reason.splitlines()[0]}"
    so_far = "" if best is None else f"; best so far {best.score:.4f} (trial {best.id})"
    pruned = ", pruned" if trial.pruned else ""
    epochs = f"epoch {trial.best_epoch} of {trial.epochs}{pruned}"
    return f"trial {trial.id}: {search.objective} {trial.score:.4f} ({epochs}, {trial.seconds:.0f} s){so_far}"


def _table(folder: TuneFolder, search: Search, stream: TextIO, over: threading.Event) -> None:
    """A table that is drawn anew every second."""
    from rich.console import Console
    from rich.live import Live

    began = time.monotonic()
    console = Console(file=stream)
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        while True:
            done = over.wait(EVERY_SECONDS)
            live.update(_drawn(folder, search, _read(folder), seconds=time.monotonic() - began), refresh=True)
            if done:
                return


def _drawn(folder: TuneFolder, search: Search, trials: Sequence[Trial], *, seconds: float) -> Any:
    from rich.markup import escape
    from rich.table import Table

    best = best_trial(trials, search.objective)
    table = Table(caption=escape(_caption(search, trials, best, seconds)), caption_justify="left")
    for name in ("trial", "values", "epoch", search.objective, "time"):
        table.add_column(name, overflow="fold", justify="left" if name == "values" else "right")
    newest = list(trials[-SHOWN:])
    if best is not None and best not in newest:
        newest = [best, *newest[1:]]
    for trial in newest:
        style = {RUNNING: "cyan", FAILED: "red"}.get(trial.status, "bold green" if trial == best else "")
        table.add_row(*(escape(cell) for cell in _cells(folder, search, trial)), style=style)
    return table


def _cells(folder: TuneFolder, search: Search, trial: Trial) -> tuple[str, str, str, str, str]:
    if trial.status == FAILED:
        return trial.id, f"{_values(trial)}\n{trial.reason.splitlines()[0]}", "", "failed", f"{trial.seconds:.0f} s"
    if trial.status == RUNNING:
        history = _history(folder, trial)
        planned = trial.values.get("fit.epochs", search.config.fit.epochs)
        last = f"{history[-1].get(search.objective, float('nan')):.4f}" if history else "..."
        return trial.id, _values(trial), f"{len(history)}/{planned}", last, ""
    epochs = f"{trial.best_epoch} of {trial.epochs}{' pruned' if trial.pruned else ''}"
    return trial.id, _values(trial), epochs, f"{trial.score:.4f}", f"{trial.seconds:.0f} s"


def _caption(search: Search, trials: Sequence[Trial], best: Trial | None, seconds: float) -> str:
    ended = [trial for trial in trials if trial.status != RUNNING]
    most = search.settings.most_trials
    words = [f"{len(ended)} of {most} trials" if most else f"{len(ended)} trials"]
    if best is not None:
        words.append(f"best so far: {best.score:.4f}, trial {best.id}")
    words.append(f"{seconds / 60:.0f} min")
    if most and ended:
        mean = sum(trial.seconds for trial in ended) / len(ended)
        words.append(f"about {mean * max(most - len(ended), 0) / search.settings.workers / 60:.0f} min left")
    return ", ".join(words)


def _values(trial: Trial) -> str:
    """The values with the last part of their names: ``learning_rate=3e-05 batch_size=16``."""
    shown = {name.partition(".")[2]: value for name, value in trial.values.items()}
    text = " ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in shown.items()
    )
    return ("baseline: " if trial.is_baseline else "") + text


def _history(folder: TuneFolder, trial: Trial) -> Sequence[Any]:
    with contextlib.suppress(RunError):
        return read_history(folder.trial(trial.id))
    return ()


def _read(folder: TuneFolder) -> list[Trial]:
    with contextlib.suppress(RunError):
        return TrialLedger(folder.ledger).trials()
    return []
