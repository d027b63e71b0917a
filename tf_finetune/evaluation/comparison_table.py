"""A comparison of two models as text for the terminal."""

from __future__ import annotations

from tf_finetune.evaluation.comparison import Comparison
from tf_finetune.evaluation.layout import align, escape

__all__ = ["format_comparison"]

ROWS = {"accuracy": "accuracy", "macro_f1": "macro F1", "log_loss": "log loss (less is better)"}


def format_comparison(found: Comparison, *, first: str, second: str) -> str:
    """Lays a comparison out as plain text without a trailing newline.

    Args:
        found: The comparison.
        first: What A is.
        second: What B is.
    """
    table = [["", "A", "B", "B less A", "95 % interval"]]
    for field, name in ROWS.items():
        one = found.differences[field]
        scores = (f"{getattr(scores, field):.4f}" for scores in (found.first, found.second))
        table.append([name, *scores, f"{one.estimate:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}"])
    method = f"paired bootstrap, {found.differences['accuracy'].resamples} resamples; McNemar's exact (binomial) test"
    return "\n".join(
        [
            *(f"A  {escape(first)}", f"B  {escape(second)}", f"{found.first.rows} rows", ""),
            *(*align(table), ""),
            f"right: both on {found.both_right} rows, A alone on {found.only_first_right}, B alone on "
            f"{found.only_second_right}, neither on {found.both_wrong}",
            *(f"method: {method}", "", escape(found.verdict)),
        ]
    )
