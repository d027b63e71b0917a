"""Scores of a classifier, by scikit-learn's definitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.errors import DataError
from tf_finetune.evaluation.answers import checked_answers

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ClassScores", "Scores", "compute_scores"]


@dataclass(frozen=True)
class ClassScores:
    """How well one class is found; 0 where the quotient is undefined."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Scores:
    """Scores over the rows of one data set.

    Attributes:
        rows: number of rows scored.
        label_names: class names in index order.
        accuracy: share of the rows whose most probable class is the true one.
        macro_f1: unweighted mean of the F1 scores of all classes, absent ones included.
        weighted_f1: mean of the F1 scores weighted by the rows of each class.
        mcc: Matthews' correlation coefficient, -1 to 1; 0 where it is undefined.
        auroc: area under the ROC curve: binary, of the second class; else one against the rest, unweighted mean.
        auroc_reason: why `auroc` and `average_precision` are None; None when they are numbers.
        average_precision: mean precision over the steps of recall: binary, of the second class; else one against the
            rest, unweighted mean. None in scores of an older release too.
        log_loss: mean negative natural logarithm of the true class's probability, clipped at the float64 epsilon.
        brier_score: mean squared distance of probabilities and truth: binary, of the second class's probability
            (0 to 1); else summed over the classes (0 to 2). None in scores of an older release.
        ece: expected calibration error: mean distance between the top probability and the share of right rows, in 15
            bins of that probability of equal width (Guo et al., 2017). None in scores of an older release.
        classes: one `ClassScores` a class, in index order.
        confusion: rows of each `[true][predicted]` pair of classes.
    """

    rows: int
    label_names: tuple[str, ...]
    accuracy: float
    macro_f1: float
    weighted_f1: float
    mcc: float
    auroc: float | None
    auroc_reason: str | None
    average_precision: float | None
    log_loss: float
    brier_score: float | None
    ece: float | None
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the scores of a class are found under its name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(Scores)}
        values["label_names"] = list(self.label_names)
        values["classes"] = {
            name: dataclasses.asdict(scores) for name, scores in zip(self.label_names, self.classes, strict=True)
        }
        values["confusion"] = [list(row) for row in self.confusion]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scores:
        """The scores that `to_dict` was called on.

        In scores of an older release, weighted F1 and MCC are computed from the confusion matrix; average precision,
        Brier score and calibration error, which need the probabilities, are None.

        Raises:
            DataError: `values` is no such dictionary.
        """
        expected = [field.name for field in dataclasses.fields(Scores)]
        if not isinstance(values, Mapping) or not set(expected) - _NEW <= set(values) <= set(expected):
            received = sorted(map(str, values)) if isinstance(values, Mapping) else type(values).__name__
            raise DataError(f"Scores must be an object with the keys {expected}. Received: {received}.")
        try:
            names = tuple(values["label_names"])
            classes = tuple(ClassScores(**values["classes"][name]) for name in names)
            confusion = tuple(tuple(row) for row in values["confusion"])
        except (KeyError, TypeError) as error:
            raise DataError(f"Scores are broken: {error!r} in `label_names`, `classes` or `confusion`.") from error
        if {len(values["classes"]), len(confusion), *map(len, confusion)} != {len(names)}:
            raise DataError(f"Scores of {len(names)} classes need that many `classes` and a square `confusion`.")
        older = _of_an_older_release(confusion) if _NEW - set(values) else {}
        return Scores(**{**older, **values, "label_names": names, "classes": classes, "confusion": confusion})


_NEW = {"weighted_f1", "mcc", "average_precision", "brier_score", "ece"}
"""What scores of an older release lack."""


def _of_an_older_release(confusion: Sequence[Sequence[int]]) -> dict[str, float | None]:
    """What can still be known of `_NEW`."""
    import numpy as np

    from tf_finetune.evaluation.class_counts import of_confusion

    try:
        rows = np.array(confusion, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"Scores are broken: {error} in `confusion`.") from error
    counts = of_confusion(rows)
    return {**dict.fromkeys(_NEW), "weighted_f1": float(counts.weighted_f1), "mcc": float(counts.mcc)}


def compute_scores(labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str]) -> Scores:
    """Scores predicted probabilities against the true classes.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float `[n, labels]`; each row sums to one.
        label_names: class names in index order; two or more, all different.

    Raises:
        DataError: The arguments do not fit together, or `probabilities` holds something else (logits, NaN).
    """
    from tf_finetune.evaluation import probability_scores
    from tf_finetune.evaluation.class_counts import confusion_matrix, of_confusion

    labels, exact = checked_answers(labels, probabilities, label_names)
    confusion = confusion_matrix(labels, exact.argmax(axis=1), len(label_names))
    counts = of_confusion(confusion)
    auroc, average_precision, reason = _ranking(labels, exact, label_names)
    return Scores(
        rows=len(labels),
        label_names=tuple(label_names),
        accuracy=float(counts.accuracy),
        macro_f1=float(counts.macro_f1),
        weighted_f1=float(counts.weighted_f1),
        mcc=float(counts.mcc),
        auroc=auroc,
        auroc_reason=reason,
        average_precision=average_precision,
        log_loss=float(probability_scores.log_loss_rows(labels, exact).mean()),
        brier_score=float(probability_scores.brier_rows(labels, exact).mean()),
        ece=probability_scores.calibration_error(*probability_scores.calibration_bins(labels, exact)),
        classes=tuple(
            ClassScores(float(precision), float(recall), float(f1), int(support))
            for precision, recall, f1, support in zip(
                counts.precision, counts.recall, counts.f1, counts.rows, strict=True
            )
        ),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def _ranking(
    labels: np.ndarray, exact: np.ndarray, label_names: Sequence[str]
) -> tuple[float | None, float | None, str | None]:
    """AUROC and average precision, or None, None and the reason why there are none."""
    import numpy as np

    from tf_finetune.evaluation.ranking import mean_scores, rankings

    present = np.bincount(labels, minlength=len(label_names)) > 0
    if not present.all():
        absent = [name for name, there in zip(label_names, present, strict=True) if not there]
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        return None, None, f"undefined: no row has the label {shown}"
    auroc, average_precision = mean_scores(rankings(labels, exact), np.ones(len(labels)))
    return auroc, average_precision, None
