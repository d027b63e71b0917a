"""`worst_errors`: the wrong answers that the model is most sure of, with the words that drove them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from tf_finetune.data import Examples
from tf_finetune.errors import ModelError
from tf_finetune.explain.explanation import ExplainedText, Explanation
from tf_finetune.reporting.answers import Answers
from tf_finetune.run import ModelFolder

__all__ = ["WorstError", "WorstErrors", "worst_errors"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorstError:
    """A row that is answered wrongly.

    Attributes:
        where: File and row.
        label: The true class, an index.
        answer: The class that it is taken for, an index.
        probability: Of the answer.
        texts: The text, and the second sentence if there is one, with the words that drove the answer; without words
            if there are no explanations.
        largest: Absolute attribution of the word that counts most; 0 without explanation.
    """

    where: str
    label: int
    answer: int
    probability: float
    texts: tuple[ExplainedText, ...]
    largest: float = 0.0


@dataclass(frozen=True)
class WorstErrors:
    """The wrong answers that the model is most sure of.

    Attributes:
        errors: The surest first.
        count: All wrong answers.
        reason: Why there are no explanations; empty if there are.
    """

    errors: tuple[WorstError, ...]
    count: int
    reason: str = ""


def worst_errors(
    model: ModelFolder, answers: Answers, examples: Examples, *, most: int, explained: bool
) -> WorstErrors:
    """Finds the wrong answers with the highest probability; explains them by integrated gradients.

    Args:
        model: The model folder.
        answers: What the run says to the rows.
        examples: The rows.
        most: Most errors.
        explained: Whether to explain them, which loads the model.

    Raises:
        RunError: The run is damaged.
    """
    predicted = answers.predicted
    wrong = np.flatnonzero(predicted != answers.labels)
    sure = answers.probabilities[wrong, predicted[wrong]]
    rows = wrong[np.argsort(-sure, kind="stable")[:most]]
    texts, pairs = _texts(examples, rows)
    explanations, reason = None, "Without the words that drove them, which were not asked for."
    if explained and len(rows):
        explanations, reason = _explain(model, answers, rows, texts, pairs)
    errors = []
    for i, row in enumerate(rows.tolist()):
        parts = [texts[i]] if pairs is None else [texts[i], pairs[i]]
        of_row = tuple(ExplainedText(part, (), ()) for part in parts)
        errors.append(
            WorstError(
                where=examples.where(row),
                label=int(answers.labels[row]),
                answer=int(predicted[row]),
                probability=float(answers.probabilities[row, predicted[row]]),
                texts=of_row if explanations is None else explanations[i].texts,
                largest=0.0 if explanations is None else explanations[i].largest,
            )
        )
    return WorstErrors(tuple(errors), len(wrong), reason)


def _texts(examples: Examples, rows: np.ndarray) -> tuple[list[str], list[str] | None]:
    """Texts and second sentences of some rows (int64 `[m]`)."""
    texts: list[str] = []
    pairs: list[str] | None = [] if examples.has_pairs else None
    for batch, others in examples.take(rows).batches():
        texts += batch
        if pairs is not None:
            pairs += others or []
    return texts, pairs


def _explain(
    model: ModelFolder, answers: Answers, rows: np.ndarray, texts: list[str], pairs: list[str] | None
) -> tuple[list[Explanation] | None, str]:
    """Explains the answer to each row; None and the reason if the architecture cannot be explained."""
    from tf_finetune.explain.explain import explain_many

    logger.info("explaining the %d worst errors", len(rows))
    labels = [answers.label_names[i] for i in answers.predicted[rows].tolist()]
    try:
        return explain_many(model.path, texts, pairs, labels=labels), ""
    except ModelError as error:
        return None, f"Without the words that drove them: {error}"
