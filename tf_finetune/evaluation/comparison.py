"""`Comparison`: two models that answered the same rows; which is better, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tf_finetune.evaluation.answers import checked_answers
from tf_finetune.evaluation.bootstrap import METRICS, Interval, paired_bootstrap
from tf_finetune.evaluation.metrics import Scores, compute_scores
from tf_finetune.evaluation.resampling import LEVEL, RESAMPLES

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Comparison", "compare_answers"]

FIELDS = {"accuracy": "accuracy", "macro_f1": "macro_f1", "loss": "log_loss"}
"""What `paired_bootstrap` calls a score -> the field of `Scores`."""


@dataclass(frozen=True)
class Comparison:
    """Two models, A and B, on the same rows.

    Attributes:
        first: Scores of A.
        second: Scores of B.
        differences: B less A with a 95 % interval: ``accuracy``, ``macro_f1``, ``log_loss``.
        both_right: Rows that both models answer rightly.
        only_first_right: Rows that A alone does.
        only_second_right: Rows that B alone does.
        both_wrong: Rows that neither does.
        mcnemar_p: p value of McNemar's exact test.
    """

    first: Scores
    second: Scores
    differences: Mapping[str, Interval]
    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int
    mcnemar_p: float

    @property
    def better(self) -> str | None:
        """``A`` or ``B`` if one is more often right; None if that cannot be told.

        It is told if the 95 % interval of the difference in accuracy does not hold 0, and McNemar's p is below 0.05.
        """
        found = self.differences["accuracy"]
        if found.low <= 0 <= found.high or self.mcnemar_p >= 1 - LEVEL:
            return None
        return "B" if found.estimate > 0 else "A"

    @property
    def verdict(self) -> str:
        """What has been found, in sentences."""
        return " ".join([self._of_accuracy(), *self._of_others()])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "verdict": self.verdict,
            "better": self.better,
            "rows": self.first.rows,
            "label_names": list(self.first.label_names),
            "differences": {
                name: {"estimate": one.estimate, "low": one.low, "high": one.high}
                for name, one in self.differences.items()
            },
            "method": "B less A; percentile interval of the paired bootstrap; McNemar's exact (binomial) test",
            "level": LEVEL,
            "resamples": self.differences["accuracy"].resamples,
            "mcnemar_p": self.mcnemar_p,
            "both_right": self.both_right,
            "only_a_right": self.only_first_right,
            "only_b_right": self.only_second_right,
            "both_wrong": self.both_wrong,
            "a": self.first.to_dict(),
            "b": self.second.to_dict(),
        }

    def _of_accuracy(self) -> str:
        found, better = self.differences["accuracy"], self.better
        p = f"McNemar p {'below 0.0001' if self.mcnemar_p < 1e-4 else f'{self.mcnemar_p:.2g}'}"
        if not self.only_first_right + self.only_second_right:
            return f"No difference can be told: both models are right on the same {self.both_right} rows."
        if better is None:
            return (
                f"No difference can be told: accuracy {100 * found.estimate:+.1f} points for B, 95 % interval "
                f"{100 * found.low:+.1f} to {100 * found.high:+.1f}, {p}."
            )
        sign = 1 if better == "B" else -1
        low, high = sorted(100 * sign * end for end in (found.low, found.high))
        gain = 100 * sign * found.estimate
        return f"{better} is better: accuracy {gain:+.1f} points, 95 % interval {low:.1f} to {high:.1f}, {p}."

    def _of_others(self) -> list[str]:
        """Of macro F1 and log loss, where they tell the models apart otherwise than accuracy does."""
        found = []
        for field, name, sign in (("macro_f1", "macro F1", 1), ("log_loss", "log loss", -1)):
            one = self.differences[field]
            better = None if one.low <= 0 <= one.high else "B" if sign * one.estimate > 0 else "A"
            if better not in (None, self.better):
                low, high = (f"{end:+.4f}" for end in (one.low, one.high))
                found.append(
                    f"By {name}, {better} is better: B less A {one.estimate:+.4f}, 95 % interval {low} to {high}."
                )
        return found


def compare_answers(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    label_names: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares two models by their probabilities for the same rows.

    Differences have the interval of `paired_bootstrap`. McNemar's test asks whether the rows that one model alone
    answers rightly are shared out evenly between the two. It is the exact test, a two-sided binomial test with
    probability 1/2, however many such rows there are; none give p 1.

    Args:
        labels: integers `[n]`, the true classes.
        first: probabilities of model A, float `[n, labels]`; each row sums to one.
        second: probabilities of model B, likewise, with the classes in the same order.
        label_names: Class names in index order.
        resamples: How often the rows are drawn anew, at least 100.
        seed: Seed of the draws.

    Raises:
        DataError: The arguments do not fit together, or the probabilities are none.
    """
    import numpy as np
    from scipy.stats import binomtest

    scores = [compute_scores(labels, probabilities, label_names) for probabilities in (first, second)]
    exact = [checked_answers(labels, probabilities, label_names)[1] for probabilities in (first, second)]
    least = np.finfo(np.float64).tiny
    logits = [np.log(probabilities.clip(least)) for probabilities in exact]  # softmax gives them back
    differences = {
        FIELDS[metric]: paired_bootstrap(labels, *logits, metric=metric, resamples=resamples, seed=seed)
        for metric in METRICS
    }
    right = [probabilities.argmax(axis=1) == labels for probabilities in exact]
    only_first, only_second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    discordant = only_first + only_second
    return Comparison(
        first=scores[0],
        second=scores[1],
        differences=differences,
        both_right=int((right[0] & right[1]).sum()),
        only_first_right=only_first,
        only_second_right=only_second,
        both_wrong=int((~right[0] & ~right[1]).sum()),
        mcnemar_p=float(binomtest(only_first, discordant).pvalue) if discordant else 1.0,
    )
