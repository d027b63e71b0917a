"""Is the data fit to train on? What the cheap audit finds is said; texts in two splits are refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tf_finetune.audit.cheap import cheap_audit
from tf_finetune.audit.finding import NOTE, Finding
from tf_finetune.config import DataConfig
from tf_finetune.data import Splits
from tf_finetune.errors import DataError

__all__ = ["check_soundness", "log_findings"]

logger = logging.getLogger(__name__)

LEAK = "leak"
SHOWN_ROWS = 3


def check_soundness(splits: Splits, config: DataConfig) -> tuple[Finding, ...]:
    """What `cheap_audit` finds in the data of a run.

    Raises:
        DataError: Texts of one split are also in another, and ``--allow-leaks`` is not given.
    """
    findings = cheap_audit(splits)
    leaks = [finding for finding in findings if finding.kind == LEAK]
    if leaks and not config.allow_leaks:
        raise DataError("\n".join([*map(_describe, leaks), _advice(leaks)]))
    return findings


def log_findings(findings: Sequence[Finding]) -> None:
    """Logs them: notes as information, all others as warnings."""
    for finding in findings:
        logger.log(logging.INFO if finding.severity == NOTE else logging.WARNING, "%s", finding.message)


def _describe(leak: Finding) -> str:
    rows = [f"  {place.where} = {place.other}" for place in leak.rows[:SHOWN_ROWS]]
    more = leak.count - len(rows)
    return "\n".join([leak.message, *rows, *([f"  and {more:,} more"] if more else [])])


def _advice(leaks: Sequence[Finding]) -> str:
    in_training = any("train" in leak.splits for leak in leaks)
    clean = " (--write-clean OUT.csv writes the training rows without those of other splits)" if in_training else ""
    return f"tf-finetune inspect shows these rows{clean}; --allow-leaks trains with them all the same."
