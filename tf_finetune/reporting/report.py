"""`report`: what a finished run is worth and where it fails, as one HTML page."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_finetune.errors import ConfigError
from tf_finetune.evaluation.evaluation import score_answers
from tf_finetune.evaluation.layout import display_names
from tf_finetune.evaluation.resampling import RESAMPLES, check_resamples
from tf_finetune.files import read_json
from tf_finetune.pages.page import escaped
from tf_finetune.pages.write import write_page
from tf_finetune.reporting.answers import Answers, given_answers, validation_answers
from tf_finetune.reporting.columns import evaluated_column, recorded_columns
from tf_finetune.reporting.history import read_history
from tf_finetune.reporting.reported import Reported
from tf_finetune.reporting.run_data import RunData, read_run_data, recorded_splits
from tf_finetune.reporting.sections.classes import classes_section, confusion_section
from tf_finetune.reporting.sections.data import audit_run, data_section
from tf_finetune.reporting.sections.errors import errors_section, labels_section
from tf_finetune.reporting.sections.lengths import lengths_section
from tf_finetune.reporting.sections.probabilities import probabilities_section
from tf_finetune.reporting.sections.ranking import ranking_section
from tf_finetune.reporting.sections.setup import configuration_section, environment_section
from tf_finetune.reporting.sections.summary import scores_section, summary_section
from tf_finetune.reporting.sections.training import learning_section
from tf_finetune.reporting.worst import worst_errors
from tf_finetune.run import Manifest, ModelFolder

__all__ = ["report"]

logger = logging.getLogger(__name__)

ERRORS = 12
"""Worst errors that are shown: of 256 tokens each, MiniLM explains one in about two seconds on a CPU."""

LINKS = {
    "scores": "Scores",
    "classes": "Classes",
    "confusion": "Confusion",
    "learning": "Learning",
    "probabilities": "Probabilities",
    "ranking": "Curves",
    "lengths": "Length",
    "errors": "Errors",
    "labels": "Labels",
    "data": "Data",
    "configuration": "Options",
    "environment": "Environment",
}


def report(
    folder: str | Path,
    *,
    data: Sequence[str] = (),
    output: str | Path | None = None,
    split: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    pair_column: str | None = None,
    label_map: str | None = None,
    encoding: str = "utf-8",
    tsv_quoting: str = "none",
    on_bad_row: str = "error",
    data_dir: str | None = None,
    batch_size: int = 32,
    words: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Path:
    """Writes a report of a finished run: one HTML file, whole or not at all, which loads nothing from elsewhere.

    It looks at what the run said to its validation rows, which it has kept, or at other labelled data, which the model
    answers then. Their texts are those of the run's data, read again by its configuration; where they cannot be read,
    or have changed, the page says so, and leaves out what needs them.

    Args:
        folder: Model folder, `saved_models/<name>`.
        data: Labelled data to report on in place of the validation rows: paths, globs or a ``tfds:`` name.
        output: The file; ``report.html`` in the model folder by default. It is replaced.
        split: Split to read where `data` has several; the test split by default.
        text_column: Column of the text in `data`, as all arguments to `data_dir` are about `data`.
        label_column: Column of the label.
        pair_column: Column of the second sentence.
        label_map: Renames or groups labels; the run's own by default.
        encoding: Encoding of text files.
        tsv_quoting: Whether quotes in TSV files are text or wrap fields.
        on_bad_row: ``error`` or ``skip``.
        data_dir: Folder of prepared tensorflow-datasets.
        batch_size: Rows a batch.
        words: Whether to tell which words drove the worst errors.
        resamples: How often the rows are drawn anew for the intervals, at least 100.
        seed: Seed of these draws.

    Returns:
        The file.

    Raises:
        RunError: The folder holds no finished run, or one that is damaged or has not kept its answers.
        DataError: `data` cannot be read, or holds a label that the model does not know.
        ConfigError: An option has no effect.
        ModelError: The run is unsafe.
        TokenizerError: Its tokenizer cannot be used.
    """
    check_resamples(resamples)
    model = ModelFolder(Path(folder))
    manifest = model.read_manifest()
    environment = read_json(model.environment)
    options: dict[str, Any] = {
        "split": split,
        "text_column": text_column,
        "label_column": label_column,
        "pair_column": pair_column,
        "label_map": label_map,
        "encoding": encoding,
        "tsv_quoting": tsv_quoting,
        "on_bad_row": on_bad_row,
        "data_dir": data_dir,
        "batch_size": batch_size,
    }
    if not data:
        _refuse_idle(options)
    path = model.report if output is None else Path(os.path.expanduser(output))
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):  # said now: the work may take minutes
        raise ConfigError(
            f"The page {path} cannot be written: it is a folder, or is in none to write to. Give another."
        )
    of_run = read_run_data(model, environment)
    if of_run.reason:
        logger.warning("%s The page leaves out what needs it.", of_run.reason)
    if data:
        answers = given_answers(model, manifest, data, recorded=recorded_splits(environment), **options)
    else:
        answers = validation_answers(model, manifest, of_run)
    sections = _sections(model, manifest, of_run, answers, words=words, resamples=resamples, seed=seed)
    write_page(path, f"Report of {model.name}", [_contents(), *sections])
    return path


def _refuse_idle(options: Mapping[str, Any]) -> None:
    """Refuses options that are about `data`, without which they have no effect."""
    defaults = report.__kwdefaults__ or {}
    idle = [f"--{name.replace('_', '-')}" for name, value in options.items() if value != defaults[name]]
    if idle:
        raise ConfigError(f"{', '.join(idle)}: no effect without --data. Leave it out.")


def _sections(
    model: ModelFolder, manifest: Manifest, data: RunData, answers: Answers, *, words: bool, resamples: int, seed: int
) -> list[str]:
    lengths = answers.lengths()
    found = _reported(model, manifest, data, answers, lengths=lengths, resamples=resamples, seed=seed)
    audit = audit_run(model, manifest, data)
    worst = None
    if answers.examples is not None:
        worst = worst_errors(model, answers, answers.examples, most=ERRORS, explained=words)
    return [
        summary_section(found, audit),
        scores_section(found),
        classes_section(found),
        confusion_section(found),
        learning_section(found),
        probabilities_section(found),
        ranking_section(found),
        lengths_section(found, lengths),
        errors_section(found, worst),
        labels_section(found),
        data_section(found, audit),
        configuration_section(found),
        environment_section(found),
        '<p class="faint">This page quotes texts of the data: think of that before you pass it on.</p>',
    ]


def _reported(
    model: ModelFolder, manifest: Manifest, data: RunData, answers: Answers, *, lengths: Any, resamples: int, seed: int
) -> Reported:
    """Scores the answers, and reads what else the run has to say."""
    draws: dict[str, Any] = {"resamples": resamples, "seed": seed}
    scores = score_answers(answers.labels, answers.probabilities, answers.label_names, lengths=lengths, **draws)
    calibration = read_json(model.calibration) if model.calibration.is_file() else None
    others = recorded_columns(read_json(model.metrics), calibration, without=answers.name, **draws)
    return Reported(
        model=model,
        manifest=manifest,
        complete=read_json(model.complete),
        environment=read_json(model.environment),
        history=read_history(model.history),
        data=data,
        answers=answers,
        scores=scores,
        columns=[evaluated_column(answers.name, scores), *others],
        names=display_names(answers.label_names),
    )


def _contents() -> str:
    links = "".join(f'<li><a href="#{anchor}">{escaped(words)}</a></li>' for anchor, words in LINKS.items())
    return f"<nav><ul>{links}</ul></nav>"
