"""Scores of a classifier, by scikit-learn's functions and definitions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.errors import DataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ClassScores", "Scores", "compute_scores"]

# Softmax in half precision over many classes strays by a few thousandths; logits stray by far more.
SUM_TOLERANCE = 1e-2


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
        auroc: area under the ROC curve: binary, of the second class; else one against the rest, unweighted mean.
        auroc_reason: why `auroc` is None; None when it is a number.
        log_loss: mean negative natural logarithm of the true class's probability, clipped at the float64 epsilon.
        classes: one `ClassScores` a class, in index order.
        confusion: rows of each `[true][predicted]` pair of classes.
    """

    rows: int
    label_names: tuple[str, ...]
    accuracy: float
    macro_f1: float
    auroc: float | None
    auroc_reason: str | None
    log_loss: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; the scores of a class are found under its name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["label_names"] = list(self.label_names)
        values["classes"] = {
            name: dataclasses.asdict(scores) for name, scores in zip(self.label_names, self.classes, strict=True)
        }
        values["confusion"] = [list(row) for row in self.confusion]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scores:
        """The scores that `to_dict` was called on.

        Raises:
            DataError: `values` is no such dictionary.
        """
        expected = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, Mapping) or set(values) != set(expected):
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
        return cls(**{**values, "label_names": names, "classes": classes, "confusion": confusion})


def compute_scores(labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str]) -> Scores:
    """Scores predicted probabilities against the true classes.

    Args:
        labels: integers `[n]`, index into `label_names`.
        probabilities: float `[n, labels]`; each row sums to one.
        label_names: class names in index order; two or more, all different.

    Raises:
        DataError: The arguments do not fit together, or `probabilities` holds something else (logits, NaN).
    """
    import numpy as np
    from sklearn import metrics

    labels, exact = _checked(np.asarray(labels), np.asarray(probabilities), label_names)
    indices = list(range(len(label_names)))
    predicted = exact.argmax(axis=1)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=indices, zero_division=0
    )
    auroc, reason = _auroc(labels, exact, label_names)
    return Scores(
        rows=len(labels),
        label_names=tuple(label_names),
        accuracy=float(metrics.accuracy_score(labels, predicted)),
        macro_f1=float(metrics.f1_score(labels, predicted, labels=indices, average="macro", zero_division=0)),
        auroc=auroc,
        auroc_reason=reason,
        log_loss=float(metrics.log_loss(labels, exact, labels=indices)),
        classes=tuple(
            ClassScores(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i])) for i in indices
        ),
        confusion=tuple(
            tuple(map(int, row)) for row in metrics.confusion_matrix(labels, predicted, labels=indices).tolist()
        ),
    )


def _checked(
    labels: np.ndarray, probabilities: np.ndarray, label_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The labels, and the probabilities as float64 `[n, labels]` whose rows sum to one exactly enough for sklearn."""
    import numpy as np

    count = len(label_names)
    if count < 2 or len(set(label_names)) < count:
        raise DataError(f"`label_names` must hold two or more different names. Received: {list(label_names)}.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"`labels` must be integers [n]. Received: {labels.dtype} {list(labels.shape)}.")
    if not len(labels):
        raise DataError("There is nothing to score: `labels` is empty. Give data with at least one labelled row.")
    if probabilities.shape != (len(labels), count) or probabilities.dtype.kind != "f":
        raise DataError(
            f"`probabilities` must be floats [{len(labels)}, {count}]: a row a label, a column a class. "
            f"Received: {probabilities.dtype} {list(probabilities.shape)}."
        )
    outside = np.flatnonzero((labels < 0) | (labels >= count))
    if len(outside):
        raise DataError(
            f"`labels` must lie in 0..{count - 1}. Received {labels[outside[0]]} at index {outside[0]} "
            f"({len(outside)} of {len(labels)} are outside)."
        )
    exact = probabilities.astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(exact).all(axis=1))
    if len(broken):
        raise DataError(
            f"`probabilities` holds NaN or infinity in {len(broken)} of {len(exact)} rows, first at index {broken[0]}: "
            "the model has diverged. Train it again with a lower learning rate, or with precision float32."
        )
    sums = exact.sum(axis=1, keepdims=True)
    wrong = np.flatnonzero((exact < 0).any(axis=1) | (np.abs(sums[:, 0] - 1) > SUM_TOLERANCE))
    if len(wrong):
        raise DataError(
            f"`probabilities` must be non-negative and sum to one in each row. Received {exact[wrong[0]].tolist()} "
            f"at index {wrong[0]}: these look like logits; apply softmax first."
        )
    return labels, exact / sums


def _auroc(labels: np.ndarray, exact: np.ndarray, label_names: Sequence[str]) -> tuple[float | None, str | None]:
    """The area under the ROC curve, or None and the reason why there is none."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    count = len(label_names)
    absent = [label_names[i] for i in range(count) if not (labels == i).any()]
    if absent:
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        return None, f"undefined: no row has the label {shown}"
    if count == 2:
        return float(roc_auc_score(labels, exact[:, 1])), None
    return float(roc_auc_score(labels, exact, multi_class="ovr", average="macro", labels=np.arange(count))), None
