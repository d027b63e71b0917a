"""Scores and predictions of a trained classifier."""

from tf_finetune.evaluation.evaluate import evaluate
from tf_finetune.evaluation.metrics import ClassScores, Scores, compute_scores
from tf_finetune.evaluation.predict import PredictResult, predict, predict_lines
from tf_finetune.evaluation.table import format_scores
from tf_finetune.evaluation.writers import RowWriter, check_output, open_writer

__all__ = [
    "ClassScores",
    "PredictResult",
    "RowWriter",
    "Scores",
    "check_output",
    "compute_scores",
    "evaluate",
    "format_scores",
    "open_writer",
    "predict",
    "predict_lines",
]
