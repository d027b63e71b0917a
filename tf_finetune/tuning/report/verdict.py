"""What a search found, in sentences: the best trial, how sure its lead is, and what to make of it."""

from __future__ import annotations

from collections.abc import Sequence

from tf_finetune.evaluation.bootstrap import Interval
from tf_finetune.pages.page import escaped
from tf_finetune.pages.words import score_text
from tf_finetune.tuning.objective import baseline_trial, best_trial, direction, scored_trials
from tf_finetune.tuning.trial import COMPLETED, FAILED, RUNNING, Trial

__all__ = ["counts", "headline"]


def headline(trials: Sequence[Trial], objective: str, comparison: Interval | None) -> str:
    """Paragraphs of HTML.

    Args:
        trials: All trials, in their order.
        objective: What the score is.
        comparison: The best trial's score minus the baseline's; None if there is none.
    """
    best = best_trial(trials, objective)
    if best is None:
        return f'<p class="lead"><strong>No trial was completed.</strong> {counts(trials)}</p>'
    lead = f"Trial {escaped(best.id)} is the best: {escaped(objective)} <strong>{score_text(best.score)}</strong>."
    paragraphs = [f'<p class="lead">{lead}</p>', f"<p>{_against_baseline(trials, best, objective, comparison)}</p>"]
    tried = len(scored_trials(trials))
    if tried > 1:
        paragraphs.append(
            f"<p>It was chosen as the best of {tried} trials by the same validation rows that its score comes from, so "
            "that some of its lead is luck: on new rows, the difference is likely smaller. Only rows that no trial was "
            "chosen by, such as a test set, can tell.</p>"
        )
    return "\n".join(paragraphs)


def counts(trials: Sequence[Trial]) -> str:
    """How many trials ended in which way, in a sentence."""
    number = {status: sum(trial.status == status for trial in trials) for status in (COMPLETED, FAILED, RUNNING)}
    pruned = sum(trial.pruned for trial in trials if trial.status == COMPLETED)
    early = f" ({pruned} of them stopped early)" if pruned else ""
    ended = [f"{number[COMPLETED]} completed{early}", f"{number[FAILED]} failed"]
    ended += [f"{number[RUNNING]} unfinished"] if number[RUNNING] else []
    return f"Trials: {len(trials)}, of which {', '.join(ended)}."


def _against_baseline(trials: Sequence[Trial], best: Trial, objective: str, comparison: Interval | None) -> str:
    """Best against baseline: the difference and its interval, or why there is none."""
    baseline = baseline_trial(trials)
    if best.is_baseline:
        return "That is the configuration as given: no other trial was better."
    if baseline is None:
        return "The configuration as given was not tried, so there is nothing to compare it with."
    if baseline.status != COMPLETED or baseline.score is None:
        return f"The configuration as given (trial {escaped(baseline.id)}) was not completed: nothing to compare with."
    given = f"the configuration as given (trial {escaped(baseline.id)}, {score_text(baseline.score)})"
    if comparison is None:
        return f"{given[0].upper()}{given[1:]} was not compared with it row by row, so that no interval is known."
    low, high = sorted((comparison.low, comparison.high))
    sign = 1 if direction(objective) == "max" else -1
    than = "more" if comparison.estimate >= 0 else "less"
    if low <= 0 <= high:
        judgement = "The interval holds 0: on these rows alone, the difference may be chance."
    elif sign * low > 0:
        judgement = "The interval lies on the better side of 0."
    else:
        judgement = "The interval lies on the worse side of 0."
    return (
        f"That is {abs(comparison.estimate):.4f} {than} than {given}. The {comparison.level:.0%} confidence interval "
        f"of the difference goes from {low:+.4f} to {high:+.4f} (paired bootstrap, {comparison.resamples} resamples "
        f"of {comparison.rows} validation rows). {judgement}"
    )
